"""The traffic of the last day: the difference of two reports counts once, in a bounded number of intervals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sipmesh.server.management.traffic_ring import INTERVALS, MOST_CAUSES, OTHER, WIDTH, TrafficRing
from sipmesh.server.replication.server_status import ServerStatus

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
STARTED = NOON - timedelta(days=9)


def status(messages: int, *, started: datetime = STARTED, clients: int = 0, **refusals: int) -> ServerStatus:
    return ServerStatus(number=1, started_at=started, messages=messages, refusals=refusals, links={"client": clients})


def seen(*reports: tuple[ServerStatus, datetime], server: str = "fe1") -> TrafficRing:
    ring = TrafficRing(NOON)
    for report, at in reports:
        ring.saw(server, report, at)
    return ring


def told(ring: TrafficRing, at: datetime) -> list[tuple[int, int, int]]:
    return [(point.messages, point.devices, point.refused) for point in ring.reply(at).points]


def test_what_a_server_has_counted_between_two_reports_is_in_the_interval_of_the_second() -> None:
    later = NOON + WIDTH
    ring = seen(
        (status(100, clients=3, revoked=1), NOON), (status(140, clients=5, revoked=3), later), (status(141), later)
    )
    assert told(ring, later) == [(0, 3, 0), (41, 5, 2)]
    assert ring.reply(later).causes == {"revoked": 2}


def test_server_that_has_started_again_counts_from_zero() -> None:
    again = status(7, started=NOON, revoked=2)
    assert told(seen((status(100, revoked=5), NOON), (again, NOON)), NOON) == [(7, 0, 2)]


def test_count_that_falls_without_a_start_counts_nothing() -> None:
    """A worker of the server has ended, with what it had counted."""
    assert told(seen((status(100), NOON), (status(60), NOON), (status(65), NOON)), NOON) == [(5, 0, 0)]


def test_devices_of_all_servers_are_added_without_those_of_removed_servers() -> None:
    ring = seen((status(0, clients=3), NOON))
    ring.saw("fe2", status(0, clients=4), NOON)
    assert told(ring, NOON) == [(0, 7, 0)]
    ring.keep({"fe2"})
    ring.saw("fe2", status(0, clients=1), NOON + WIDTH)
    assert told(ring, NOON + WIDTH)[-1] == (0, 1, 0)


def test_ring_has_one_day_after_each_jump_of_the_clock() -> None:
    reports: list[tuple[ServerStatus, datetime]] = [(status(n), NOON + n * WIDTH) for n in range(3 * INTERVALS)]
    ring, last = seen(*reports), reports[-1][1]
    assert told(ring, last) == [(1, 0, 0)] * INTERVALS
    for jump in (timedelta(days=400), timedelta(days=-400)):
        ring.saw("fe1", status(10**6), last + jump)
        assert len(ring.reply(last + jump).points) <= INTERVALS
    ring.saw("fe1", status(10**6 + 5), last)
    assert ring.reply(last).points[-1].messages == 5


def test_server_that_reports_many_causes_fills_no_memory() -> None:
    ring = seen((status(0), NOON))
    for n in range(9):
        given: dict[str, Any] = {f"cause-{n}-{k}": n + 1 for k in range(MOST_CAUSES)}
        ring.saw("fe1", status(0, **given), NOON)
    causes = ring.reply(NOON).causes
    assert len(causes) == MOST_CAUSES + 1
    assert causes[OTHER] == MOST_CAUSES * sum(range(2, 10))
