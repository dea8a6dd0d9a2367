"""The store of one host as the loop sees it: asked at once, answered later, never waited for."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sipmesh.storage.location_service import sqlite_locations
from sipmesh.storage.location_service.bindings import BindingStore
from sipmesh.storage.location_service.locations import StoredRows, Write, WriteResult
from sipmesh.storage.location_service.sqlite_locations import CLOSING_S, SqliteLocations
from storage.members import ALICE, ELSEWHERE, FE1, FE2, PHONE, Member


@pytest.fixture(name="begin")
def _begin(tmp_path: Path) -> Iterator[Callable[[str, int], Member]]:
    members: list[Member] = []

    def begin(server: str, incarnation: int) -> Member:
        members.append(Member(lambda post: SqliteLocations(tmp_path / "bindings.db", post), server, incarnation))
        return members[-1]

    yield begin
    for member in members:
        member.locations.close()


def test_nothing_is_called_back_in_a_thread_of_the_store(begin: Callable[[str, int], Member]) -> None:
    fe1, threads = begin(FE1, 7), []
    fe1.locations.write(Write(ALICE, (PHONE,), (), lambda _: threads.append(threading.current_thread())))
    fe1.locations.find(ALICE, lambda _: threads.append(threading.current_thread()))
    fe1.until(lambda: len(threads) == 2)
    assert set(threads) == {threading.current_thread()}


def test_lookups_are_answered_while_another_process_has_locked_the_file(
    begin: Callable[[str, int], Member], tmp_path: Path
) -> None:
    """A write waits meanwhile, and is made when the lock has ended."""
    fe1 = begin(FE1, 7)
    done: list[WriteResult | None] = []
    fe1.write([PHONE])
    with closing(sqlite3.connect(tmp_path / "bindings.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        fe1.locations.write(Write(ALICE, (), (PHONE,), done.append))
        for _ in range(10):
            assert fe1.rows() == [PHONE]
        assert not done
        assert fe1.locations.health.waiting == 1
        other.execute("ROLLBACK")
    fe1.until(lambda: done)
    assert fe1.rows() == []


def test_lookups_that_wait_are_answered_together(begin: Callable[[str, int], Member]) -> None:
    fe1, found = begin(FE1, 7), list[StoredRows | None]()
    locations = fe1.locations
    assert isinstance(locations, SqliteLocations)
    for number in range(100):
        locations.find(f"sip:u{number}@example.test", found.append)
    assert (locations.lookups, locations.health.waiting) == (100, 0)
    fe1.until(lambda: len(found) == 100)
    assert (locations.lookups, locations.health.waiting) == (0, 0)


def test_file_that_cannot_be_read_is_reported_to_the_caller(begin: Callable[[str, int], Member]) -> None:
    fe1, found = begin(FE1, 7), list[StoredRows | None]()
    locations = fe1.locations
    assert isinstance(locations, SqliteLocations)
    locations._reading.close()
    locations.find(ALICE, found.append)
    fe1.until(lambda: found)
    assert found == [None]


def test_end_of_a_server_does_not_wait_for_a_lock(begin: Callable[[str, int], Member], tmp_path: Path) -> None:
    fe1 = begin(FE1, 7)
    with closing(sqlite3.connect(tmp_path / "bindings.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        fe1.locations.close()
        assert time.monotonic() - began < 10 * CLOSING_S
        other.execute("ROLLBACK")


def test_result_that_comes_after_the_end_of_the_loop_harms_no_caller(tmp_path: Path) -> None:
    def closed(_: object) -> None:
        raise RuntimeError("Event loop is closed")

    member = Member(lambda _post: SqliteLocations(tmp_path / "bindings.db", closed), FE1, 7)
    member.locations.write(Write(ALICE, (PHONE,), (), lambda _: None))
    member.locations.find(ALICE, lambda _: None)
    member.locations.close()


def test_server_that_was_killed_leaves_rows_until_it_begins_again(begin: Callable[[str, int], Member]) -> None:
    """Its mates learn by its refused link that they lead nowhere; no other trace of it is left."""
    fe1, fe2 = begin(FE1, 7), begin(FE2, 3)
    fe2.write([ELSEWHERE])
    assert fe1.rows() == [ELSEWHERE]
    begin(FE2, 4)
    assert fe1.rows() == []


ENDS = """
import sys
from pathlib import Path
from sipmesh.storage.location_service.sqlite_locations import SqliteLocations
SqliteLocations(Path(sys.argv[1]), lambda _: None).close()
"""


def end_another_process(file: Path) -> None:
    """Let another process of this host open the store, and close it."""
    subprocess.run([sys.executable, "-c", ENDS, str(file)], check=True)


def test_end_of_another_process_removes_no_row(begin: Callable[[str, int], Member], tmp_path: Path) -> None:
    """What this server writes afterwards is seen by a server that starts then."""
    file = tmp_path / "bindings.db"
    fe1 = begin(FE1, 7)
    end_another_process(file)
    fe1.write([PHONE])
    with closing(BindingStore(file)) as read_anew:
        [stored] = read_anew.find([ALICE], FE2, 1)
    assert [row.key for row in stored.rows] == [PHONE.key]
    end_another_process(file)
    assert file.with_name("bindings.db-wal").stat().st_size > 0


@pytest.mark.parametrize("how", ["same path", "copy", "network file system"])
def test_store_has_one_identity_on_one_machine_only(
    begin: Callable[[str, int], Member], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Control: a second server of the machine tells the same identity."""
    fe1 = begin(FE1, 7)
    assert begin(FE2, 8).locations.identity == fe1.locations.identity
    folder = tmp_path / "other"
    folder.mkdir()
    if how == "copy":
        shutil.copy(tmp_path / "bindings.db", folder)
    elif how == "network file system":
        folder = tmp_path
    (boot_id := tmp_path / "boot_id").write_text("that of another machine")
    monkeypatch.setattr(sqlite_locations, "BOOT_ID", boot_id)
    with closing(SqliteLocations(folder / "bindings.db", lambda _: None)) as elsewhere:
        assert elsewhere.identity != fe1.locations.identity
