"""The database of the message history: once, in pages, within bounds, and gone when it should be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import sqlalchemy as sql

from sipmesh.storage.message_cipher import HistoryCipher, UserCipher
from sipmesh.storage.message_history import (
    MOST_OF_USER,
    OCTETS_OF_PAGE,
    OCTETS_OF_USER,
    PAGE,
    HistoryPage,
    NewEntry,
    accounts,
    conversations,
    erase,
    erase_users,
    expire,
    forget,
    keep,
    move,
    page,
)
from sipmesh.storage.messages import MessageStore, Work
from storage.databases import shell

T = TypeVar("T")
POOL = HistoryCipher("pool1", b"k" * 32)
BOB = POOL.of("sip:bob@example.test", 5)
ALICE, CAROL = "alice@example.test", "carol@example.test"


class Archive:
    """A store with the message history."""

    def __init__(self, url: str) -> None:
        self.url, self.store, self._count = url, MessageStore(url), 0

    def do(self, *works: Work[T]) -> T:
        return self.store.carry_out(works)[-1]

    def put(self, text: bytes, who: str = ALICE, cipher: UserCipher = BOB, source: str = "") -> bool:
        self._count += 1
        return self.do(keep(cipher, entry(self._count, text, who, cipher, source)))

    def texts(self, who: str = ALICE, cipher: UserCipher = BOB) -> list[bytes]:
        return texts(self.do(page(cipher, cipher.conversation(who))))


def entry(number: int, text: bytes, who: str = ALICE, cipher: UserCipher = BOB, source: str = "") -> NewEntry:
    key = cipher.key(b"%d" % number, is_mine=False)
    return NewEntry(key, cipher.conversation(who), cipher.source(source or who), text)


def texts(found: HistoryPage) -> list[bytes]:
    return [one.octets for one in found.entries]


def counted(url: str) -> list[tuple[str, int, int]]:
    """Give how many messages and octets are counted for each owner."""
    with shell(url) as db:
        rows = db.exec_driver_sql("SELECT owner, messages, octets FROM message_history_users ORDER BY owner")
        return [(str(owner), int(messages), int(octets)) for owner, messages, octets in rows]


def there(url: str) -> list[tuple[str, int, int]]:
    """Give the same of the messages themselves."""
    with shell(url) as db:
        rows = db.exec_driver_sql(
            "SELECT owner, count(*), sum(size) FROM message_history GROUP BY owner ORDER BY owner"
        )
        return [(str(owner), int(messages), int(octets)) for owner, messages, octets in rows]


@pytest.fixture(name="archive")
def _archive(url: str) -> Iterator[Archive]:
    """After each test, the counts are those of the messages that are there."""
    archive = Archive(url)
    yield archive
    archive.store.close()
    assert counted(url) == there(url)


def test_message_is_kept_once(archive: Archive) -> None:
    assert archive.do(keep(BOB, entry(1, b"a"))) is True
    assert archive.do(keep(BOB, entry(1, b"a"))) is False
    assert archive.texts() == [b"a"]


def test_instants_of_a_user_rise_also_if_the_clock_goes_back(archive: Archive) -> None:
    archive.put(b"a")
    with shell(archive.url) as db:
        db.exec_driver_sql("UPDATE message_history SET at = at + 3600000000")
        db.commit()
    archive.put(b"b")
    with shell(archive.url) as db:
        first, second = db.exec_driver_sql("SELECT at FROM message_history ORDER BY at").scalars()
    assert second == first + 1


def test_conversation_is_read_in_pages_the_newest_first(archive: Archive) -> None:
    archive.do(*(keep(BOB, entry(number, b"%d" % number)) for number in range(PAGE + 3)))
    first = archive.do(page(BOB, BOB.conversation(ALICE)))
    second = archive.do(page(BOB, BOB.conversation(ALICE), first.before))
    assert [int(one) for one in (*texts(first), *texts(second))] == list(reversed(range(PAGE + 3)))
    assert (len(first.entries), second.before) == (PAGE, 0)


def test_page_ends_after_so_many_octets(archive: Archive) -> None:
    archive.do(*(keep(BOB, entry(number, bytes(OCTETS_OF_PAGE // 2 + 1))) for number in range(3)))
    first = archive.do(page(BOB, BOB.conversation(ALICE)))
    assert (len(first.entries), first.before) == (2, first.entries[-1].at)
    assert len(archive.do(page(BOB, BOB.conversation(ALICE), first.before)).entries) == 1


def test_each_conversation_is_listed_with_its_last_message(archive: Archive) -> None:
    for text, who in ((b"1", ALICE), (b"2", CAROL), (b"3", ALICE)):
        archive.put(text, who)
    assert texts(archive.do(conversations(BOB))) == [b"3", b"2"]
    newest = archive.do(conversations(BOB)).entries[0].at
    assert texts(archive.do(conversations(BOB, newest))) == [b"2"]


def test_other_user_and_later_account_read_nothing(archive: Archive) -> None:
    archive.put(b"secret")
    for cipher in (POOL.of("sip:carol@example.test", 5), POOL.of("sip:bob@example.test", 6)):
        assert archive.texts(cipher=cipher) == texts(archive.do(conversations(cipher))) == []
    assert archive.texts() == [b"secret"]


def test_first_message_of_a_later_account_removes_what_was_before(archive: Archive) -> None:
    archive.put(b"old")
    later = POOL.of("sip:bob@example.test", 6)
    archive.put(b"new", cipher=later)
    assert (archive.texts(), archive.texts(cipher=later)) == ([], [b"new"])


def test_flood_of_one_sender_pushes_out_its_own_messages_only(archive: Archive) -> None:
    """Also under many names of one partner, which answers for all of them."""
    archive.put(b"hello", CAROL)
    large = bytes(OCTETS_OF_USER // 40)
    for number in range(60):
        archive.put(large, f"{number}@partner.test", source="partner partner.test")
    assert archive.texts(CAROL) == [b"hello"]
    with shell(archive.url) as db:
        count, octets = db.exec_driver_sql("SELECT count(*), sum(size) FROM message_history").one()
    assert 20 < count < MOST_OF_USER
    assert octets <= OCTETS_OF_USER


def test_flood_of_short_messages_pushes_out_no_long_messages_of_another_sender(archive: Archive) -> None:
    with shell(archive.url) as db:
        for who, number, size in ((CAROL, 50, 100_000), (ALICE, MOST_OF_USER - 50, 1)):
            row = "INSERT INTO message_history VALUES (:owner, :at, 'pool1', 5, :key, :with, :with, :octets, :size)"
            hashed = BOB.conversation(who)
            rows = [
                {"owner": BOB.owner, "at": at, "key": b"%d" % at + hashed, "with": hashed, "octets": b"x", "size": size}
                for at in range(number * 10, number * 11)
            ]
            db.execute(sql.text(row), rows)
        total = (
            "INSERT INTO message_history_users SELECT owner, 5, count(*), sum(size) FROM message_history GROUP BY owner"
        )
        db.exec_driver_sql(total)
        db.commit()
    for _ in range(20):
        archive.put(b"x", ALICE)
    with shell(archive.url) as db:
        kept = db.execute(
            sql.text("SELECT count(*) FROM message_history WHERE conversation = :with"),
            {"with": BOB.conversation(CAROL)},
        ).scalar_one()
    assert kept == 50


def test_count_that_is_too_high_is_mended_and_removes_nothing(archive: Archive) -> None:
    archive.put(b"a")
    with shell(archive.url) as db:
        db.exec_driver_sql(f"UPDATE message_history_users SET messages = {MOST_OF_USER}")  # noqa: S608 - a number
        db.commit()
    archive.put(b"b")
    assert archive.texts() == [b"b", b"a"]
    assert counted(archive.url) == there(archive.url)


def test_one_more_message_looks_at_as_many_rows_in_a_long_history_as_in_a_short_one(archive: Archive) -> None:
    """Counted in steps of the database."""
    if not archive.url.startswith("sqlite"):
        pytest.skip("steps are those of SQLite")
    steps = []
    for number in (10, 1_000):
        archive.do(*(keep(BOB, entry(number * 10_000 + one, b"x")) for one in range(number)))
        taken = 0

        def step() -> None:
            nonlocal taken
            taken += 1

        def work(db: sql.Connection) -> bool:
            connection = db.connection.driver_connection
            assert connection is not None
            connection.set_progress_handler(step, 1)
            try:
                return keep(BOB, entry(number, b"y"))(db)  # noqa: B023 - called within
            finally:
                connection.set_progress_handler(None, 0)

        assert archive.do(work) is True
        steps.append(taken)
    assert steps[1] < 2 * steps[0]


def test_user_erases_one_conversation_or_all(archive: Archive) -> None:
    for who in (ALICE, CAROL):
        archive.put(b"x", who)
        archive.put(b"x", who, POOL.of("sip:dora@example.test", 5))
    assert archive.do(erase(BOB, BOB.conversation(ALICE))) == 1
    assert (archive.texts(ALICE), archive.texts(CAROL)) == ([], [b"x"])
    assert archive.do(erase(BOB)) == 1
    assert len(archive.do(accounts("pool1"))) == 1


def test_what_is_too_old_goes_and_all_without_a_history(archive: Archive) -> None:
    archive.put(b"old")
    archive.put(b"other", cipher=HistoryCipher("pool2", b"p" * 32).of("sip:bob@example.test", 5))
    with shell(archive.url) as db:
        db.exec_driver_sql("UPDATE message_history SET at = at - 2678400000000")  # 31 days
        db.commit()
    archive.put(b"new")
    assert archive.do(expire("pool1", 30)) == 1
    assert archive.texts() == [b"new"]
    assert archive.do(expire("pool1", 0)) == 1
    assert (archive.do(accounts("pool1")), len(archive.do(accounts("pool2")))) == ([], 1)


def test_removed_users_are_forgotten_and_earlier_accounts_too(archive: Archive, url: str) -> None:
    archive.put(b"x")
    archive.put(b"x", cipher=POOL.of("sip:dora@example.test", 9))
    assert archive.do(forget([BOB.owner], before_account=5)) == 0
    assert archive.do(forget([BOB.owner])) == 1
    assert archive.do(accounts("pool1")) == [(POOL.owner("sip:dora@example.test"), 9)]
    assert erase_users(url, POOL, ["sip:bob@example.test", "sip:dora@example.test"]) == 1


def test_operator_erases_where_no_database_is_yet(tmp_path: Path) -> None:
    assert erase_users(f"sqlite:///{tmp_path}/none.db", POOL, ["sip:bob@example.test"]) == 0
    assert not (tmp_path / "none.db").exists()


def test_renamed_user_takes_the_messages_of_the_account_along_and_no_others(archive: Archive) -> None:
    new = POOL.of("sip:robert@example.test", 5)
    archive.put(b"mine")
    archive.put(b"unreadable to this release")

    def renewed(octets: bytes) -> NewEntry | None:
        return entry(1, octets, cipher=new) if octets == b"mine" else None

    assert archive.do(move(BOB, new, renewed)) == 1
    assert archive.do(move(BOB, new, renewed)) == 0
    assert (archive.texts(cipher=new), archive.texts()) == ([b"mine"], [])


def test_copy_of_the_database_shows_no_text_and_no_name(archive: Archive) -> None:
    archive.put(b"a very secret text")
    with shell(archive.url) as db:
        row = str(db.exec_driver_sql("SELECT * FROM message_history").one())
    assert not any(word in row for word in ("secret", "alice", "bob", "example"))


@pytest.mark.parametrize(
    "change",
    [
        "octets = '\\x00'",
        "octets = conversation",
        "at = at - 1",
        "account = 6",
        "conversation = key",
    ],
)
def test_row_that_was_changed_is_left_out(archive: Archive, change: str) -> None:
    archive.put(b"first")
    archive.put(b"second", CAROL)
    with shell(archive.url) as db:
        first = "WHERE at = (SELECT min(at) FROM message_history)"
        db.exec_driver_sql(f"UPDATE message_history SET {change} {first}")  # noqa: S608 - of this test
        db.commit()
    assert (archive.texts(ALICE), archive.texts(CAROL)) == ([], [b"second"])
    assert archive.put(b"third") is True


def test_row_of_another_user_shows_nothing_at_the_place_of_this_user(archive: Archive) -> None:
    dora = POOL.of("sip:dora@example.test", 5)
    archive.put(b"secret of dora", cipher=dora)
    with shell(archive.url) as db:
        for table in ("message_history", "message_history_users"):
            db.exec_driver_sql(f"UPDATE {table} SET owner = '{BOB.owner}'")  # noqa: S608 - of this test
        db.commit()
    assert texts(archive.do(conversations(BOB))) == []
