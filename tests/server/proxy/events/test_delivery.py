"""What follows from each answer while the messages of one user are delivered; no phone, no database and no clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from routing.messages import request
from sipmesh.routing.events.stored_message import stored_octets
from sipmesh.server.proxy.events.delivery import Delivery, DeliveryEnd, RemoveMessage, SendMessage
from sipmesh.server.proxy.events.own_requests import NO_ANSWER
from sipmesh.server.proxy.events.unanswered import UnansweredAttempts
from sipmesh.server.quotas.limited_log import LimitedLog
from sipmesh.storage.messages import Claimed, StoredMessage
from storage.members import ALICE, ELSEWHERE, PHONE
from support.telling import Told

OCTETS = stored_octets(request("MESSAGE"), "sip:bob@example.test", datetime(2026, 11, 26, 7, 0, tzinfo=UTC))
ONE = StoredMessage(1, OCTETS, b"bob", 100.0)
OF_BOB, OF_CAROL = StoredMessage(2, OCTETS, b"bob", 100.0), StoredMessage(3, OCTETS, b"carol", 100.0)
NOTHING, PHONES = Claimed(), [PHONE, ELSEWHERE]
CLAIM, READ, SEND, EXTEND, REMOVE = "ClaimMessages", "ReadPhones", "SendMessage", "ExtendLease", "RemoveMessage"
RELEASE, KEPT = "ReleaseLease", True
DELIVERED, SENT = [CLAIM, READ, SEND, REMOVE, CLAIM, RELEASE, DeliveryEnd.DONE], [CLAIM, READ, SEND]


def started(unremoved: set[int] | None = None) -> tuple[Delivery, Told]:
    told = Told()
    log = LimitedLog(told.log, lambda: 0.0, each=100, total=100, window_s=1.0)
    return Delivery(ALICE, UnansweredAttempts(), set() if unremoved is None else unremoved, log), told


def way(delivery: Delivery, *answers: object, now: float = 0.0) -> list[Any]:
    """What the delivery asks, each by its name, as these *answers* come; then its end."""
    asked: list[Any] = []
    for answer in (None, *answers):
        effect = delivery.go_on(answer, now)
        while isinstance(effect, RemoveMessage):
            asked.append(REMOVE)
            effect = delivery.go_on(None, now)
        asked.append(effect if isinstance(effect, DeliveryEnd) else type(effect).__name__)
    return asked


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([None], [CLAIM, DeliveryEnd.RETRY]),
        ([Claimed(is_held=True)], [CLAIM, DeliveryEnd.HELD]),
        ([NOTHING, None], [CLAIM, RELEASE, DeliveryEnd.DONE]),
        ([Claimed((ONE,)), None, None], [CLAIM, READ, RELEASE, DeliveryEnd.DONE]),
        ([Claimed((ONE,)), [PHONE], 200, NOTHING, None], DELIVERED),
        ([Claimed((ONE,)), [PHONE], 603, NOTHING, None], DELIVERED),
        ([Claimed((ONE,)), PHONES, 480, 200, NOTHING, None], [*SENT, SEND, REMOVE, CLAIM, RELEASE, DeliveryEnd.DONE]),
        ([Claimed((ONE,)), [PHONE], NO_ANSWER, None], [*SENT, RELEASE, DeliveryEnd.RETRY]),
        ([Claimed((ONE,)), [PHONE], 415, True, NOTHING, None], [*SENT, EXTEND, CLAIM, RELEASE, DeliveryEnd.DONE]),
        ([Claimed((ONE,)), [PHONE], 415, False], [*SENT, EXTEND, DeliveryEnd.RETRY]),
        ([Claimed((ONE,)), [PHONE], 408, False], [*SENT, EXTEND, DeliveryEnd.RETRY]),
        ([Claimed((ONE,)), [PHONE], 408, True, NOTHING, None], [*SENT, EXTEND, CLAIM, RELEASE, DeliveryEnd.RETRY]),
    ],
)
def test_what_follows_from_each_answer(answers: list[object], asked: list[object]) -> None:
    delivery, _ = started()
    assert way(delivery, *answers) == asked


def test_message_that_is_not_answered_holds_up_those_of_its_sender_only() -> None:
    delivery, _ = started()
    way(delivery, Claimed((ONE, OF_BOB, OF_CAROL)), PHONES, 408, KEPT)
    assert delivery.messages[0] is ONE
    effect = delivery.go_on(480, 0.0)
    assert isinstance(effect, SendMessage)
    assert effect.row is PHONE
    assert [message.number for message in delivery.messages] == [3]


def test_phone_that_answers_nothing_twice_gets_no_third_message() -> None:
    delivery, _ = started()
    asked = way(delivery, Claimed((ONE, OF_CAROL)), [PHONE], 408, KEPT, 408, KEPT, None)
    assert asked == [*SENT, EXTEND, SEND, EXTEND, RELEASE, DeliveryEnd.RETRY]


def test_message_that_was_refused_before_is_not_sent_again_on_the_same_flow() -> None:
    delivery, told = started()
    delivery._attempts.spend(ALICE, ONE.number, PHONE.token)
    assert way(delivery, Claimed((ONE,)), [PHONE], KEPT) == [CLAIM, READ, EXTEND, CLAIM]
    assert delivery.has_refused
    assert told.last("stored message refused by each phone of its user")["aor"] == ALICE


def test_message_that_expires_while_phones_are_slow_is_not_sent() -> None:
    delivery, _ = started()
    way(delivery, Claimed((ONE,)))
    assert type(delivery.go_on([PHONE], 100.0)).__name__ == CLAIM


def test_message_that_was_delivered_and_is_still_there_is_removed_and_not_sent() -> None:
    delivery, _ = started({ONE.number})
    way(delivery, Claimed((ONE,)))
    assert delivery.go_on([PHONE], 0.0) == RemoveMessage(ONE.number, is_delivered=False)


def test_message_that_cannot_be_read_is_removed() -> None:
    delivery, told = started()
    way(delivery, Claimed((StoredMessage(1, b"no request", b"bob", 100.0),)))
    assert delivery.go_on([PHONE], 0.0) == RemoveMessage(1, is_delivered=False)
    assert told.last("stored message removed: it cannot be read")["why"]


@pytest.mark.parametrize("ended", ["is_over", "is_closed"])
def test_delivery_ends_before_the_next_message(ended: str) -> None:
    """Another server has the lease, or this server ends."""
    delivery, _ = started()
    way(delivery, Claimed((ONE,)))
    setattr(delivery, ended, True)
    effect = delivery.go_on([PHONE], 0.0)
    assert effect is DeliveryEnd.RETRY or type(effect).__name__ == RELEASE
    assert delivery.has_found([PHONE])
    assert not delivery.has_found(None)
