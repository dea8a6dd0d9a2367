"""The file that names the shared database: private, whole, and the source of one lease in a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.database.connection import Database
from sipmesh.database.shared import FILE, SharedDatabase
from sipmesh.errors import OperatorError

SHARED = SharedDatabase("postgresql+psycopg://sipmesh:secret@db.example.test/sipmesh", "mgmt1.example.test")


def put(folder: Path, content: bytes, mode: int = 0o600) -> None:
    (folder / FILE).write_bytes(content)
    (folder / FILE).chmod(mode)


def test_file_is_read_as_it_was_written_and_shows_no_password(tmp_path: Path) -> None:
    assert SharedDatabase.find(tmp_path) is None
    put(tmp_path, SHARED.encode())
    assert SharedDatabase.find(tmp_path) == SHARED
    assert "secret" not in repr(SHARED)


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (SHARED.encode(), 0o640, "can be read by other users"),
        (SHARED.encode(), 0o604, "can be read by other users"),
        (b"{}", 0o600, "cannot be read"),
        (b"[1]", 0o600, "cannot be read"),
        (b"\xff", 0o600, "cannot be read"),
    ],
)
def test_file_that_others_may_read_or_that_is_damaged_is_refused(
    tmp_path: Path, content: bytes, mode: int, why: str
) -> None:
    put(tmp_path, content, mode)
    with pytest.raises(OperatorError, match=why) as refused:
        SharedDatabase.find(tmp_path)
    assert "secret" not in str(refused.value)


def test_all_parts_of_a_process_have_the_same_lease(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db", "things")
    lease, again = SHARED.lease(database), SHARED.lease(database)
    other = SharedDatabase(SHARED.url, "mgmt2.example.test").lease(database)
    assert lease is again
    assert (lease.holder, other.holder) == ("mgmt1.example.test", "mgmt2.example.test")
