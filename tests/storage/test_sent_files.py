"""The database of the files that users send: whole or not there, within bounds, and gone when their time is over."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.sent_files import MOST_OF_USER, NoRoomError, Owner, Room, SentFiles, erase_files
from storage.databases import only_sqlite, shell

ALICE, BOB = Owner("sip:alice@example.test", 5, "pool1"), Owner("sip:bob@example.test", 6, "pool1")
FAR = Owner("sip:frank@example.test", 7, "pool2")
ROOM = Room(100, 150, 180)
DAY = 86_400.0


@pytest.fixture(name="store")
def _store(url: str) -> Iterator[SentFiles]:
    store = SentFiles(url, kept_free=0)
    yield store
    store.close()


def keep(store: SentFiles, file: str, owner: Owner = ALICE, size: int = 10, lifetime_s: float = DAY) -> None:
    store.begin(file, owner, size, ROOM, DAY)
    store.write(file, 0, b"part", DAY)
    store.finish(file, size, 1, b"about", lifetime_s)


def test_file_counts_once_all_of_it_is_there(store: SentFiles) -> None:
    store.begin("f", ALICE, 20, ROOM, DAY)
    store.write("f", 0, b"one", DAY)
    assert store.find("f") is None
    until = store.finish("f", 7, 1, b"about", DAY)
    found = store.find("f")
    assert found is not None
    assert (found.owner, found.size, found.until, found.about, found.parts) == (ALICE, 7, until, b"about", 1)
    assert (store.part("f", 0), store.part("f", 1), store.part("g", 0)) == (b"one", b"", b"")
    assert store.usage() == (1, 7)
    assert (store.remove("f"), store.remove("f"), store.find("f"), store.part("f", 0)) == (True, False, None, b"")


def test_upload_holds_its_room_for_its_lease_after_each_part_and_no_longer(store: SentFiles, url: str) -> None:
    store.begin("goes on", ALICE, 40, ROOM, 0.0)
    store.write("goes on", 0, b"part", DAY)
    store.begin("killed", ALICE, 60, ROOM, DAY)
    with pytest.raises(NoRoomError):
        keep(store, "next", size=60)
    store.write("killed", 0, b"half", 0.0)
    assert store.find("killed") is None
    keep(store, "next", size=60)
    with shell(url) as db:
        assert set(db.exec_driver_sql("SELECT id FROM sent_file_parts").scalars()) == {"goes on", "next"}
    with pytest.raises(OperatorError, match="too long"):
        store.finish("killed", 4, 1, b"about", DAY)
    store.finish("goes on", 4, 1, b"about", DAY)


def test_room_is_bounded_for_a_user_a_pool_and_all(store: SentFiles) -> None:
    keep(store, "a", size=100)
    for owner, size, whose in ((ALICE, 1, "you"), (BOB, 51, "your pool"), (FAR, 81, "all users")):
        with pytest.raises(NoRoomError, match=whose):
            store.begin("x", owner, size, ROOM, DAY)
    keep(store, "b", BOB, size=50)
    keep(store, "c", FAR, size=30)
    store.remove("a")
    keep(store, "d", size=100)


def test_files_of_a_user_are_counted_too(store: SentFiles, url: str) -> None:
    with shell(url) as db:
        for n in range(MOST_OF_USER):
            about = (f"f{n}", ALICE.aor, ALICE.account, ALICE.pool)
            values = ", ".join(map(repr, about))
            db.exec_driver_sql(f"INSERT INTO sent_files VALUES ({values}, 0, 1e12, '', 1)")  # noqa: S608 - ours
    with pytest.raises(NoRoomError, match="you"):
        store.begin("x", ALICE, 0, ROOM, DAY)
    keep(store, "b", BOB)


def test_file_is_gone_when_its_time_is_over(store: SentFiles, url: str) -> None:
    keep(store, "old", lifetime_s=0.0)
    keep(store, "new")
    assert store.find("old") is None
    assert store.expire() == 0  # the next upload had removed it
    keep(store, "older", lifetime_s=0.0)
    assert store.expire() == 1
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT id FROM sent_file_parts").scalars().all() == ["new"]


def test_files_of_users_who_are_gone_are_forgotten(store: SentFiles) -> None:
    earlier = Owner(ALICE.aor, 1, "pool1")
    for name, owner in (("a", ALICE), ("e", earlier), ("b", BOB)):
        keep(store, name, owner)
    assert sorted(store.owners()) == [(ALICE.aor, 1), (ALICE.aor, 5), (BOB.aor, 6)]
    assert store.forget([(ALICE.aor, 1)]) == 1
    assert store.find("a") is not None
    assert store.forget([(ALICE.aor, 0)]) == 1
    assert [store.find(name) is not None for name in "aeb"] == [False, False, True]


def test_erasing_opens_a_database_that_is_there_alone(store: SentFiles, url: str, tmp_path: Path) -> None:
    keep(store, "a")
    assert erase_files(url, [ALICE.aor, BOB.aor]) == 1
    assert erase_files(f"sqlite:///{tmp_path}/other.db", [ALICE.aor]) == 0
    assert not (tmp_path / "other.db").exists()


def test_upload_whose_file_was_removed_is_refused_and_leaves_no_part(store: SentFiles, url: str) -> None:
    """Another server may remove the file while a part is written, which no lock of SQLite or PostgreSQL prevents."""
    keep(store, "a")
    store.begin("gone", ALICE, 10, ROOM, DAY)
    store.write("gone", 0, b"part", DAY)
    assert store.remove("gone")
    with pytest.raises(OperatorError, match="its user was removed"):
        store.write("gone", 1, b"part", DAY)
    with shell(url) as db:
        db.exec_driver_sql("INSERT INTO sent_file_parts SELECT 'gone', 2, octets FROM sent_file_parts")
        db.commit()
    assert store.expire() == 0
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT id FROM sent_file_parts").scalars().all() == ["a"]


@only_sqlite
def test_disk_keeps_room_for_the_other_data_of_management(url: str) -> None:
    store = SentFiles(url, kept_free=1 << 60)
    with pytest.raises(NoRoomError, match="disk"):
        store.begin("x", ALICE, 1, ROOM, DAY)
    store.close()


@only_sqlite
def test_uploads_under_way_have_their_room_on_the_disk(store: SentFiles) -> None:
    """What is stored already takes no room of the disk a second time."""
    much = 1 << 60
    room = Room(much << 1, much << 1, much << 1)
    store.begin("stored", ALICE, 1, room, DAY)
    store.finish("stored", much, 1, b"about", DAY)
    store.begin("next", ALICE, 1, room, DAY)
    store.begin("more", BOB, 1, room, DAY)
    with pytest.raises(NoRoomError, match="disk"):
        store.begin("too much", BOB, much - 2, room, DAY)


FILL = """
import resource, sys
from sipmesh.errors import OperatorError
from sipmesh.storage.sent_files import Owner, Room, SentFiles
store = SentFiles(sys.argv[1])
store.begin("b", Owner("sip:b@example.test", 1, "p"), 10, Room(*[1 << 30] * 3), 60.0)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    store.write("b", 0, b"x" * 400_000, 60.0)
except OperatorError as wrong:
    print(wrong)
"""


@only_sqlite
def test_full_disk_is_an_error_with_a_remedy_and_leaves_what_was_there(store: SentFiles, url: str) -> None:
    """The kernel lets the process write no larger file, as a full disk does."""
    keep(store, "a")
    said = subprocess.run((sys.executable, "-c", FILL, url), capture_output=True, text=True, check=True).stdout
    assert "make room on the disk" in said
    assert (store.find("a") is not None, store.find("b")) == (True, None)
