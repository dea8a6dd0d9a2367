"""The deadlines of a link."""

from __future__ import annotations

import pytest

from sipmesh.transport.limits import Limits
from sipmesh.transport.link.deadlines import DOES_NOT_READ, LAST_SECOND, LOOK_AGAIN_S, NO_PONG, TOO_SLOW, LinkDeadlines
from sipmesh.trust.evidence import Direction, LinkKind

LIMITS = Limits(stall_s=20, drain_s=5, authenticate_s=60, keepalive_s=240, idle_s=7200, message_s=32)
LAST_IN = 10.0


def deadlines(kind: LinkKind = LinkKind.CLIENT, direction: Direction = Direction.ACCEPTED) -> LinkDeadlines:
    return LinkDeadlines(LIMITS, kind, direction, 1.0)


def bounds(found: LinkDeadlines, blocked_at: float = 0.0) -> dict[str, float]:
    return {why: when for when, why in found.all(blocked_at, LAST_IN)}


@pytest.mark.parametrize(
    ("kind", "direction"), [(LinkKind.SERVER, Direction.ACCEPTED), (LinkKind.CLIENT, Direction.OPENED)]
)
def test_server_link_and_opened_link_have_no_deadline_while_nothing_waits(kind: LinkKind, direction: Direction) -> None:
    assert bounds(deadlines(kind, direction)) == {}


def test_client_must_authenticate_in_time() -> None:
    found = deadlines()
    assert bounds(found)["not authenticated in time"] == 61.0
    found.authenticated = True
    assert bounds(found) == {"idle": LAST_IN + 7200}


def test_client_that_sends_keepalives_must_continue() -> None:
    found = deadlines()
    found.keepalives, found.authenticated = 1, True
    assert bounds(found) == {"keepalive lapsed": LAST_IN + 240}


def test_peer_that_reads_nothing_is_closed_after_stall_s() -> None:
    assert bounds(deadlines(LinkKind.SERVER), blocked_at=3.0) == {DOES_NOT_READ: 23.0}


def test_unfinished_message_gets_time_for_each_received_octet() -> None:
    found = deadlines(LinkKind.SERVER)
    found.begun_at, found.begun_octets = 2.0, 2 * LIMITS.message_bytes_per_s
    assert bounds(found) == {TOO_SLOW: 2.0 + 32 + 2}


def test_drained_link_ends_also_if_its_peer_does_not_read() -> None:
    found = deadlines(LinkKind.SERVER)
    found.drain_until = 8.0
    assert bounds(found) == {"drained, but the peer did not read": 8.0}


def test_browser_that_was_pinged_must_answer() -> None:
    found = deadlines()
    found.pinged_at = 3.0
    assert bounds(found)[NO_PONG] == 3.0 + LIMITS.websocket_pong_s


@pytest.mark.parametrize(("now", "why"), [(60.9, ""), (61.0, "not authenticated in time")])
def test_reason_to_close_is_that_of_a_deadline_that_has_passed(now: float, why: str) -> None:
    assert deadlines().passed(now, 0.0, LAST_IN) == why


@pytest.mark.parametrize(
    ("now", "valid_s", "alarm"),
    [
        (1.0, None, 61.0),
        (59.0, None, 61.0),
        (59.0, 1.5, 60.5),
        (59.0, -1.0, 59.0 + LAST_SECOND),
        (59.0, 1e6, 61.0),
    ],
)
def test_alarm_is_at_the_first_deadline(now: float, valid_s: float | None, alarm: float) -> None:
    assert deadlines().next_alarm(now, 0.0, LAST_IN, valid_s) == alarm


def test_alarm_comes_each_minute_where_a_deadline_is_far() -> None:
    found = deadlines(LinkKind.SERVER)
    assert found.next_alarm(5.0, 0.0, LAST_IN, 1e6) == 5.0 + LOOK_AGAIN_S
    assert found.next_alarm(5.0, 0.0, LAST_IN, None) == 0.0


def test_deadline_of_an_unfinished_message_starts_again_only_with_another_message() -> None:
    found = deadlines(LinkKind.SERVER)
    assert found.wait_for_the_rest(10, 2.0, again=False)
    assert not found.wait_for_the_rest(5, 3.0, again=False)
    assert (found.begun_at, found.begun_octets) == (2.0, 15)
    assert found.wait_for_the_rest(1, 4.0, again=True)
    assert (found.begun_at, found.begun_octets) == (4.0, 1)


def test_client_may_send_keepalives_at_its_rate_for_ever_and_a_burst_once() -> None:
    """Four each second and 50 at once, by default."""
    found = deadlines()
    assert all(found.takes_keepalive(100.0 + at * 0.25) for at in range(1_000))
    assert [found.takes_keepalive(1_000.0) for _ in range(51)] == [True] * 50 + [False]
    assert found.takes_keepalive(1_001.0)


@pytest.mark.parametrize("kind", [LinkKind.SERVER, LinkKind.PARTNER])
def test_server_has_a_higher_rate_of_keepalives(kind: LinkKind) -> None:
    found = deadlines(kind)
    assert [found.takes_keepalive(100.0) for _ in range(1_001)] == [True] * 1_000 + [False]
    assert all(found.takes_keepalive(200.0 + at / 16) for at in range(1_000))
