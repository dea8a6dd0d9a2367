"""The permanent data of management is in one database in the folder of the organisation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.database.shared import DATABASE, SharedDatabase, has_management_db
from sipmesh.errors import NotLeadingError, OperatorError
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users.user_database import Users
from storage.publishing import made

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_history_and_audit_log_survive_a_restart(tmp_path: Path) -> None:
    assert not has_management_db(tmp_path)
    first = ManagementDb(tmp_path)
    version = first.history.publish(0, made, "ada", "because", at=NOON)
    first.audit.append("ada", AuditAct.BLOCK, {"blocked": ["evil.test"]}, at=NOON)
    first.close()
    assert has_management_db(tmp_path)
    second = ManagementDb(tmp_path)
    assert second.history.head() == version
    assert [line.act for line in second.audit.read()] == [AuditAct.PUBLISH, AuditAct.BLOCK]
    assert second.history.verify() == []
    second.close()


def test_version_and_audit_line_are_in_one_database(tmp_path: Path) -> None:
    management_db = ManagementDb(tmp_path)
    management_db.history.publish(0, made, "ada", "because", at=NOON)
    [line] = management_db.audit.read()
    assert (line.act, line.who) == (AuditAct.PUBLISH, "ada")
    management_db.close()


def test_overtaken_leader_writes_to_no_other_database_either(tmp_path: Path) -> None:
    """It has stood still while another server began to lead; what it records of the users then would be of an older version."""
    url, users = f"sqlite:///{tmp_path / 'shared.db'}", Users(tmp_path / "users.db")
    first, second = (ManagementDb(tmp_path, SharedDatabase(url, name)) for name in ("one.test", "other.test"))
    assert first.lease.claim()
    with first.leading():
        users.set_backups({"a.test": "b.test"})
    users.refresh()
    recorded = users.number
    fencing = first.lease.jump(0)  # its lease ends
    assert second.lease.claim()
    assert second.lease.fencing > fencing
    with pytest.raises(NotLeadingError, match=r"other\.test leads"), first.leading():
        users.set_backups({})
    users.refresh()
    assert users.number == recorded
    with second.leading():
        users.set_backups({})
    users.refresh()
    assert users.number > recorded
    for database in (users, first, second):
        database.close()


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"nothing of ours" * 100)
    with pytest.raises(OperatorError, match=DATABASE):
        ManagementDb(tmp_path)
