"""A server does not query a database file that was never written."""

from __future__ import annotations

import os
import time
from pathlib import Path

import sqlalchemy as sql

from sipmesh.storage.users.database_stamp import stamp_of
from sipmesh.storage.users.user_database import Users
from storage.databases import only_sqlite

ALICE = "sip:alice@example.test"
MINUTE_S = 60


@only_sqlite
def test_unchanged_database_file_is_not_queried(users: Users, server: Users, file: Path) -> None:
    users.add(ALICE, "secret")
    old = time.time() - 60
    os.utime(file, (old, old))
    asked: list[str] = []
    sql.event.listen(server._engine, "before_cursor_execute", lambda *told: asked.append(str(told[2])))
    assert server.refresh() == {ALICE}
    os.utime(file, (old, old))
    assert [bool(asked), server.refresh()] == [True, frozenset()]
    asked.clear()
    assert [server.refresh(), asked] == [frozenset(), []]
    users.set_password(ALICE, "other")
    assert server.refresh() == {ALICE}


def test_stamp_differs_after_a_write_to_the_database_or_to_its_log(tmp_path: Path) -> None:
    stamps = []
    for name, octets in (("users.db", b"1"), ("users.db-wal", b"2"), ("users.db-wal", b"34")):
        (tmp_path / name).write_bytes(octets)
        old = time.time() - MINUTE_S
        os.utime(tmp_path / name, (old, old))
        stamps.append(stamp_of(tmp_path / "users.db"))
    assert None not in stamps
    assert len(set(stamps)) == len(stamps)


def test_file_that_was_just_written_and_a_database_server_have_no_stamp(tmp_path: Path) -> None:
    """Another write may get the same time."""
    file = tmp_path / "users.db"
    file.write_bytes(b"1")
    assert (stamp_of(file), stamp_of(None)) == (None, None)
