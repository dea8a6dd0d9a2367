"""Copies of one message: so many at the same time, each once, and the count of those that were missed."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.events.group_messages import AT_ONCE, Copies, Ended, result_of
from sipmesh.storage.messages import Storing

MEMBERS = tuple(f"sip:user{n}@example.test" for n in range(3 * AT_ONCE))


class Sending:
    """Remembers the copies that are open, and the number of missed members."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.open: list[Ended] = []
        self.told: list[int] = []

    def to_one(self, member: str, ended: Ended) -> None:
        self.sent.append(member)
        self.open.append(ended)


def test_so_many_copies_are_open_at_the_same_time() -> None:
    sending = Sending()
    Copies(MEMBERS, sending.to_one, sending.told.append).go_on()
    assert len(sending.open) == AT_ONCE
    for number in range(len(MEMBERS)):
        assert not sending.told
        sending.open[number](Storing.STORED if number % 3 else Storing.FAILED)
        assert len(sending.open) <= AT_ONCE + number + 1
    assert (sending.sent, sending.told) == (list(MEMBERS), [AT_ONCE])


@pytest.mark.parametrize("result", list(Storing))
def test_copies_that_end_at_once_fill_no_stack(result: Storing) -> None:
    told: list[int] = []
    members = MEMBERS * 100
    copies = Copies(members, lambda _, ended: ended(result), told.append)
    copies.go_on()
    assert told == [0 if result is Storing.STORED else len(members)]
    assert copies.is_full is (result is Storing.SENDER_FULL)


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (0, Storing.FAILED),
        (180, Storing.FAILED),
        (200, Storing.STORED),
        (202, Storing.STORED),
        (300, Storing.FAILED),
        (480, Storing.FAILED),
    ],
)
def test_2xx_of_a_pool_is_success(status: int, result: Storing) -> None:
    assert result_of(status) is result
