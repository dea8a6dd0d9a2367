"""What the console reads from files: limits, and a CA that is elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.console import commands
from sipmesh.server.console.commands import _read_audit, _read_users, _revoke
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from support.managed import build_managed
from support.network import BEGAN


def test_newest_lines_of_a_long_audit_log_are_read_newest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "MOST_LINES", 2)
    management_db = ManagementDb(tmp_path)
    for _ in range(3):
        management_db.audit.append("ada", AuditAct.LIST, at=BEGAN)
    reply = _read_audit(management_db, 0)
    assert ([line.seq for line in reply.lines], reply.faults) == ([3, 2], [])
    assert [line.seq for line in _read_audit(management_db, 2).lines] == [3]
    management_db.close()


def test_first_users_are_read_and_all_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "MOST_USERS", 1)
    reply = _read_users(build_managed(tmp_path).load())
    assert ([user.user for user in reply.users], reply.total) == (["alice@example.test"], 2)
    assert reply.users[0].pool == "pool1.example.test"


def test_ca_on_another_machine_is_named_in_the_refusal(tmp_path: Path) -> None:
    management_db = ManagementDb(tmp_path)
    with pytest.raises(OperatorError, match="the CA is on another machine"):
        _revoke(tmp_path / "ca", management_db, "ada", 1, Reason.UNSPECIFIED)
    assert management_db.audit.read() == []
    management_db.close()
