"""The database of stored messages: limits, order, leases and the end of a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import pytest

from sipmesh.storage import messages
from sipmesh.storage.messages import (
    LEASE_S,
    MOST_AT_ONCE,
    Claimed,
    MessageLimits,
    MessageStore,
    NewMessage,
    Storing,
    Work,
    claim,
    counts,
    expire,
    extend,
    forget_users,
    release,
    remove,
    store,
)
from storage.databases import only_postgresql, run, shell

BOB, CAROL, FE1, FE2 = "sip:bob@example.test", "sip:carol@example.test", "fe1", "fe2"
LIMITS = MessageLimits(
    per_user=4, per_sender=3, octets_per_user=1000, octets_per_sender=900, all_of_sender=5, octets_of_sender=1500
)
T = TypeVar("T")


class Shelf:
    """A store whose clock a test sets."""

    def __init__(self, url: str, patch: pytest.MonkeyPatch) -> None:
        self.store, self.at, self._count = MessageStore(url), 1000.0, 0
        patch.setattr(messages, "now", lambda _: self.at)

    def do(self, work: Work[T]) -> T:
        [result] = self.store.carry_out([work])
        return result

    def put(self, aor: str = BOB, sender: bytes = b"alice", octets: bytes = b"x", lifetime_s: float = 100.0) -> Storing:
        self._count += 1
        return self.do(store(NewMessage(aor, sender, b"%d" % self._count, octets, lifetime_s), LIMITS))

    def texts(self, claimed: Claimed) -> list[bytes]:
        return [one.octets for one in claimed.messages]


@pytest.fixture(name="shelf")
def _shelf(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    shelf = Shelf(url, monkeypatch)
    yield shelf
    shelf.store.close()


def test_messages_come_in_the_order_in_which_they_were_stored(shelf: Shelf) -> None:
    for text in (b"1", b"2", b"3"):
        assert shelf.put(octets=text) is Storing.STORED
    claimed = shelf.do(claim(BOB, FE1))
    assert shelf.texts(claimed) == [b"1", b"2", b"3"]
    assert shelf.texts(shelf.do(claim(BOB, FE1, claimed.messages[0].number))) == [b"2", b"3"]
    assert shelf.do(claim(CAROL, FE1)) == Claimed()


def test_copy_of_a_message_is_stored_once(shelf: Shelf) -> None:
    """The sender has lost its link before the 202, and sends the same request again."""
    message = NewMessage(BOB, b"alice", b"key", b"x", 100.0)
    assert shelf.do(store(message, LIMITS)) is shelf.do(store(message, LIMITS)) is Storing.STORED
    assert shelf.do(counts()) == {BOB: 1}


def for_account(shelf: Shelf, account: int, text: bytes) -> Storing:
    """Store a message for an account of bob; its key is *text*."""
    return shelf.do(store(NewMessage(BOB, b"alice", text, text, 100.0, account=account), LIMITS))


def test_message_is_for_one_account_of_a_name(shelf: Shelf) -> None:
    """Messages without a known account are for each: a server of an earlier release has stored them."""
    assert {for_account(shelf, 0, b"unknown"), for_account(shelf, 5, b"five")} == {Storing.STORED}
    assert shelf.texts(shelf.do(claim(BOB, FE1, account=4))) == [b"unknown"], (
        "a server that has not learnt of the new one"
    )
    assert shelf.texts(shelf.do(claim(BOB, FE1, account=5))) == [b"unknown", b"five"]
    assert shelf.texts(shelf.do(claim(BOB, FE1))) == [b"unknown", b"five"], "a server that does not know"
    assert shelf.texts(shelf.do(claim(BOB, FE1, account=6))) == [b"unknown"]
    assert shelf.do(counts()) == {BOB: 1}, "those for an earlier account are removed"


def test_messages_for_an_earlier_account_take_no_room(shelf: Shelf) -> None:
    """The same octets for the next account are another message."""
    assert [for_account(shelf, 5, text) for text in (b"1", b"2", b"3", b"4")][2:] == [Storing.STORED, Storing.USER_FULL]
    assert for_account(shelf, 6, b"1") is Storing.STORED
    assert shelf.texts(shelf.do(claim(BOB, FE1, account=6))) == [b"1"]
    assert shelf.do(counts()) == {BOB: 1}


def test_sender_fills_only_its_own_part_of_a_users_room(shelf: Shelf) -> None:
    assert [shelf.put() for _ in range(4)] == [*[Storing.STORED] * 3, Storing.USER_FULL]
    assert [shelf.put(sender=b"dora") for _ in range(2)] == [Storing.STORED, Storing.USER_FULL]


def test_user_has_room_for_so_many_octets(shelf: Shelf) -> None:
    assert shelf.put(octets=b"x" * 600) is Storing.STORED
    assert shelf.put(sender=b"dora", octets=b"x" * 401) is Storing.USER_FULL
    assert shelf.put(sender=b"dora", octets=b"x" * 400) is Storing.STORED


def test_sender_fills_only_its_own_part_of_the_octets_of_a_user(shelf: Shelf) -> None:
    assert shelf.put(octets=b"x" * 600) is Storing.STORED
    assert shelf.put(octets=b"x" * 301) is Storing.USER_FULL
    assert shelf.put(octets=b"x" * 300) is shelf.put(sender=b"dora", octets=b"x" * 100) is Storing.STORED


def test_sender_has_a_limit_over_all_users(shelf: Shelf) -> None:
    for number in range(5):
        assert shelf.put(aor=f"sip:{number}@example.test") is Storing.STORED
    assert shelf.put(aor=CAROL) is Storing.SENDER_FULL
    assert shelf.put(aor=CAROL, sender=b"dora") is Storing.STORED


def test_sender_has_a_limit_of_octets_over_all_users(shelf: Shelf) -> None:
    assert shelf.put(octets=b"x" * 900) is shelf.put(aor=CAROL, octets=b"x" * 600) is Storing.STORED
    assert shelf.put(aor="sip:dora@example.test") is Storing.SENDER_FULL


@pytest.mark.parametrize("size", [1, 450])
def test_user_of_a_partner_has_half_of_what_the_partner_has(shelf: Shelf, size: int) -> None:
    """Of messages and of octets; a sender whose name begins with that of the partner is another one."""

    def put(author: bytes, sender: bytes = b"partner p") -> Storing:
        shelf._count += 1
        return shelf.do(store(NewMessage(BOB, sender, b"%d" % shelf._count, b"x" * size, 100.0, author), LIMITS))

    most = 2 if size == 1 else 1
    assert [put(b"erin") for _ in range(most + 1)] == [Storing.STORED] * most + [Storing.USER_FULL]
    assert put(b"frank") is Storing.STORED
    assert put(b"grace") is Storing.USER_FULL
    if size == 1:
        assert put(b"heidi", b"partner pp") is Storing.STORED


def test_message_is_gone_at_the_end_of_its_life_and_not_before(shelf: Shelf) -> None:
    shelf.put(lifetime_s=10.0)
    shelf.put(aor=CAROL, lifetime_s=20.0)
    shelf.at += 9.9
    assert shelf.texts(shelf.do(claim(BOB, FE1))) == [b"x"]
    shelf.at += 0.1
    assert shelf.do(claim(BOB, FE1)) == Claimed()
    assert shelf.do(counts()) == {CAROL: 1}
    assert shelf.do(expire()) == 1
    assert shelf.do(expire()) == 0


@pytest.mark.parametrize("lifetime_s", [0.0, 1.0])
def test_messages_that_expire_at_once_take_as_little_of_the_disk_as_others(shelf: Shelf, lifetime_s: float) -> None:
    """They counted until they had expired, and were on the disk for a minute. What others have stored stays."""
    assert shelf.put(CAROL, sender=b"bob") is Storing.STORED
    for number in range(20):
        shelf.put(BOB if number % 2 else CAROL, lifetime_s=lifetime_s)
        shelf.at += 1.0
    assert shelf.do(lambda db: run(db, "UPDATE stored_messages SET size = size")) <= 2
    assert shelf.put(CAROL) is Storing.STORED
    assert shelf.texts(shelf.do(claim(CAROL, FE1))) == [b"x", b"x"]


def test_what_has_expired_makes_room(shelf: Shelf) -> None:
    assert [shelf.put(lifetime_s=10.0) for _ in range(4)][-1] is Storing.USER_FULL
    shelf.at += 10
    assert shelf.put() is Storing.STORED


def test_one_server_at_a_time_delivers_to_a_user(shelf: Shelf) -> None:
    shelf.put()
    assert shelf.texts(shelf.do(claim(BOB, FE1))) == [b"x"]
    assert shelf.do(claim(BOB, FE2)) == Claimed(is_held=True)
    assert shelf.texts(shelf.do(claim(BOB, FE1))) == [b"x"], "its own lease, such as after a restart"
    assert shelf.do(release(BOB, FE2)) is False
    assert shelf.do(release(BOB, FE1)) is True
    assert shelf.texts(shelf.do(claim(BOB, FE2))) == [b"x"]


def test_lease_of_a_server_that_has_died_ends(shelf: Shelf) -> None:
    shelf.put()
    shelf.do(claim(BOB, FE1))
    shelf.at += LEASE_S - 0.1
    assert shelf.do(claim(BOB, FE2)).is_held
    assert shelf.do(extend(BOB, FE1))
    shelf.at += LEASE_S
    assert shelf.texts(shelf.do(claim(BOB, FE2))) == [b"x"]
    assert shelf.do(extend(BOB, FE1)) is False


def test_message_that_was_delivered_is_removed_and_its_number_not_used_again(shelf: Shelf) -> None:
    shelf.put()
    [first] = shelf.do(claim(BOB, FE1)).messages
    assert shelf.do(remove(BOB, first.number, FE1)) is True
    shelf.put()
    [second] = shelf.do(claim(BOB, FE1, first.number)).messages
    assert second.number > first.number
    assert shelf.do(remove(CAROL, second.number, FE1)) is True, "of another user: nothing is removed"
    assert shelf.do(counts()) == {BOB: 1}


def test_messages_are_read_some_at_a_time(shelf: Shelf) -> None:
    many = MessageLimits(per_user=100, per_sender=100)
    works = [store(NewMessage(BOB, b"a", b"%d" % n, b"%d" % n, 9.0), many) for n in range(MOST_AT_ONCE + 1)]
    assert set(shelf.store.carry_out(works)) == {Storing.STORED}
    first = shelf.do(claim(BOB, FE1)).messages
    assert len(first) == MOST_AT_ONCE
    assert shelf.texts(shelf.do(claim(BOB, FE1, first[-1].number))) == [b"%d" % MOST_AT_ONCE]


def test_messages_of_a_removed_user_go(shelf: Shelf) -> None:
    shelf.put()
    shelf.put(aor=CAROL)
    assert shelf.do(forget_users([BOB])) == 1
    assert shelf.do(counts()) == {CAROL: 1}


def test_messages_outlive_the_process(url: str) -> None:
    first = MessageStore(url)
    first.carry_out([store(NewMessage(BOB, b"a", b"k", b"\x00\xff", 100.0), LIMITS)])
    first.close()
    second = MessageStore(url)
    [claimed] = second.carry_out([claim(BOB, FE1)])
    assert [one.octets for one in claimed.messages] == [b"\x00\xff"]
    second.close()


@only_postgresql
def test_a_server_starts_while_another_one_stores_a_message(shelf: Shelf, url: str) -> None:
    """The other one holds the row of the turn until it commits; the server that starts must not wait for it."""
    with shell(url) as db:
        run(db, "UPDATE stored_messages_turn SET turn = turn + 1")
        MessageStore(url).close()
    assert shelf.put() is Storing.STORED
