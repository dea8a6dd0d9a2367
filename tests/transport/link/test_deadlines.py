"""The deadlines of a link."""

from __future__ import annotations

import pytest

from sipmesh.transport.limits import Limits
from sipmesh.transport.link.deadlines import DOES_NOT_READ, TOO_SLOW, LinkDeadlines
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
    found.pings = found.authenticated = True
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
