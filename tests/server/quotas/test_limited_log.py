"""Lines that peers cause: a number of lines for each event and principal, and a count of the rest."""

from __future__ import annotations

import pytest

from sipmesh.server.quotas.limited_log import LimitedLog
from support.telling import Told


class Clock:
    """A clock that tests set, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def limited(told: Told, **limits: int) -> tuple[LimitedLog, Clock]:
    clock = Clock()
    return LimitedLog(told.log, clock, **limits), clock


@pytest.mark.parametrize(("lines", "again"), [(10, []), (11, [1]), (1_214, [1_204])])
def test_lines_above_the_limit_become_one_line_at_the_end_of_the_window(lines: int, again: list[int]) -> None:
    told = Told()
    peers, clock = limited(told)
    for number in range(lines):
        peers.warning("192.0.2.1", "request refused", why=f"reason {number}")
    peers.sweep()
    assert len(told.lines) == 10
    clock.now = 10.0
    peers.sweep()
    sums = told.lines[10:]
    assert [line["again"] for line in sums] == again
    if again:
        assert (sums[0]["event"], sums[0]["level"], sums[0]["principal"]) == ("request refused", "warning", "192.0.2.1")
        assert (sums[0]["why"], sums[0]["within_s"]) == (f"reason {lines - 1}", 10.0)
    assert peers.summed == sum(again)


def test_another_principal_and_another_event_are_written_beside_a_flood() -> None:
    told = Told()
    peers, _ = limited(told)
    for _ in range(1_000):
        peers.warning("192.0.2.1", "request refused")
    peers.warning("192.0.2.2", "request refused")
    peers.error("192.0.2.1", "unframeable")
    assert [line["event"] for line in told.lines[-2:]] == ["request refused", "unframeable"]
    assert len(told.lines) == 12


def test_next_line_starts_a_new_window_without_a_sweep() -> None:
    told = Told()
    peers, clock = limited(told, each=1)
    for second in (0.0, 1.0, 10.0, 10.5):
        clock.now = second
        peers.info("a", "link accepted", second=second)
    peers.close()
    assert [(line["second"], line.get("again")) for line in told.lines] == [
        (0.0, None),
        (1.0, 1),
        (10.0, None),
        (10.5, 1),
    ]


def test_flood_from_many_principals_is_bounded_in_lines_and_in_memory() -> None:
    """5,000 addresses with three lines each: 200 lines are written, and 51 summary lines for the rest."""
    told = Told()
    peers, clock = limited(told)
    for number in range(5_000):
        for _ in range(3):
            peers.warning(f"address {number}", "link refused")
    assert len(told.lines) == 200
    clock.now = 10.0
    peers.sweep()
    assert len(told.lines) == 251
    assert sum(line.get("again", 0) for line in told.lines) == 14_800
    peers.warning("address 1", "link refused")
    assert len(told.lines) == 252


@pytest.mark.parametrize(("length", "kept"), [(1_000, True), (1_001, False)])
def test_long_values_of_peers_are_cut(length: int, *, kept: bool) -> None:
    told = Told()
    peers, _ = limited(told)
    peers.warning("a", "message refused", why="x" * length, status=403)
    [line] = told.lines
    assert line["why"] == ("x" * 1_000 if kept else "x" * 1_000 + "... (1001 letters)")
    assert line["status"] == 403
