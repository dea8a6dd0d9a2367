"""What the console reads from files: limits, and a CA that is elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.console import commands
from sipmesh.server.console.commands import _read_audit, _revoke, _sign_crls
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from support.managed import build_managed
from support.network import BEGAN


def test_long_audit_log_is_read_in_pages_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "MOST_LINES", 2)
    management_db = ManagementDb(tmp_path)
    for _ in range(3):
        management_db.audit.append("ada", AuditAct.LIST, at=BEGAN)
    newest = _read_audit(management_db, 0, 2**53)
    assert ([line.seq for line in newest.lines], newest.faults, newest.before) == ([3, 2], [], 2)
    assert ([line.seq for line in _read_audit(management_db, 0, 2).lines], newest.faults) == ([1], [])
    after = _read_audit(management_db, 2, 2**53)
    assert ([line.seq for line in after.lines], after.before) == ([3], None)
    management_db.close()


def test_ca_on_another_machine_is_named_in_the_refusal(tmp_path: Path) -> None:
    management_db = ManagementDb(tmp_path)
    with pytest.raises(OperatorError, match="the CA is on another machine"):
        _revoke(tmp_path / "ca", management_db, "ada", 1, Reason.UNSPECIFIED)
    with pytest.raises(OperatorError, match="the CA is on another machine"):
        _sign_crls(tmp_path / "ca", management_db, "ada")
    assert management_db.audit.read() == []
    management_db.close()


def test_new_crls_are_signed_and_noted_with_the_name_of_the_operator(tmp_path: Path) -> None:
    folder = build_managed(tmp_path).folder
    management_db = ManagementDb(folder)
    files = _sign_crls(folder / "ca", management_db, "ada (API)")
    assert files
    lines = management_db.audit.read()
    assert [(line.who, line.act, line.about["file"]) for line in lines] == [
        ("ada (API)", "list", file) for file in files
    ]
    management_db.close()
