"""What `sipmesh audit` shows, and what it says of a log that was changed."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime

import pytest

from cli.world import sipmesh
from sipmesh.database.shared import DATABASE
from sipmesh.demo.organisation import Organisation
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from support.managed import Managed

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(name="logged")
def _logged(managed: Managed) -> Organisation:
    """An organisation at version 1, and one more line in its audit log."""
    management_db = ManagementDb(managed.organisation.folder)
    management_db.audit.append(
        "ada (1)", AuditAct.REVOKE, {"server": "fe1.example.test", "serials": ["0a", "0b"]}, at=NOON
    )
    management_db.close()
    return managed.organisation


def test_each_line_is_shown_with_who_when_and_what_about(logged: Organisation) -> None:
    told = sipmesh("audit", topology=logged.file)
    [row] = [line for line in told.out.splitlines() if " revoke " in line]
    assert row.split()[:5] == ["2", "2026-06-01", "12:00:00Z", "ada", "(1)"]
    assert "server: fe1.example.test, serials: 0a; 0b" in row


@pytest.mark.parametrize(("since", "lines"), [(0, [1, 2]), (1, [2]), (2, [])])
def test_lines_are_shown_after_a_number(logged: Organisation, since: int, lines: list[int]) -> None:
    told = sipmesh("audit", "--json", "--since", str(since), topology=logged.file)
    assert [json.loads(line)["seq"] for line in told.out.splitlines()] == lines


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (("--since", "2026-06-01"), [1, 2]),
        (("--since", "2026-06-01T12:00:01+00:00"), [1]),
        (("--since", "1h"), [1]),
        (("--since", "9999w"), [1, 2]),
        (("--by", "ada"), [1, 2]),
        (("--by", "eve"), []),
        (("--action", "revoke"), [2]),
        (("--action", "revoke", "--by", "ada", "--since", "1"), [2]),
    ],
)
def test_lines_are_shown_by_time_operator_and_kind(
    logged: Organisation, options: tuple[str, ...], lines: list[int]
) -> None:
    """Version 1 was published a short time ago; the revocation is of an earlier day."""
    told = sipmesh("audit", "--json", *options, topology=logged.file)
    assert [json.loads(line)["seq"] for line in told.out.splitlines()] == lines


@pytest.mark.parametrize("since", ["yesterday", "-1", "1y", "d", "9" * 30, "999999d"])
def test_time_that_cannot_be_read_is_refused(logged: Organisation, since: str) -> None:
    told = sipmesh("audit", "--since", since, topology=logged.file)
    assert (told.code, "--since needs the number of a line" in told.err) == (1, True), told.err


def test_log_that_was_not_changed_is_intact(logged: Organisation) -> None:
    told = sipmesh("audit", "verify", topology=logged.file)
    assert (told.code, "The audit log is intact: 2 lines" in told.out) == (0, True)
    assert sipmesh("audit", "verify", "--json", topology=logged.file).json == {"ok": True, "faults": []}


def test_changed_line_is_named_with_its_remedy(logged: Organisation) -> None:
    """A user who can write the file may drop the trigger that keeps lines; the chain of hashes shows the change."""
    database = sqlite3.connect(logged.folder / DATABASE)
    triggers = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    for name in triggers:
        database.execute(f"DROP TRIGGER {name}")
    database.execute("UPDATE audit SET line = replace(line, 'ada', 'eve') WHERE seq = 2")
    database.commit()
    database.close()
    told = sipmesh("audit", "verify", topology=logged.file)
    assert told.code == 1
    assert "the audit log was changed" in told.err
    assert "restore the file from a backup" in told.err
    as_json = sipmesh("audit", "verify", "--json", topology=logged.file)
    assert (as_json.code, as_json.json["ok"], len(as_json.json["faults"])) == (1, False, 1)


def test_network_without_a_version_has_no_log(example: Organisation) -> None:
    told = sipmesh("audit", topology=example.file)
    assert (told.code, "there is no published version" in told.err) == (1, True)
