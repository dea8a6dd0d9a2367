"""The age of the queue: what waits in the epoll's own list, and what one turn does not read."""

from __future__ import annotations

import select
from collections.abc import Iterator

import pytest

from sipmesh.routing.overload import OverloadControl
from sipmesh.transport.reactor.queue_age import EVERY_S, FULL_WINDOW, FULL_WINDOWS, QueueProbe
from sipmesh.transport.watched import READ

TARGET_S = 0.1


class Bench:
    """A probe in an epoll of its own, under a clock that stands still."""

    def __init__(self) -> None:
        self.now = 10.0
        self.epoll = select.epoll()
        self.control = OverloadControl(TARGET_S, 0.5, 0.25)
        self.probe = QueueProbe(self.epoll, lambda: self.now, self.control)
        self.probe.sees_idle = True
        self.epoll.register(self.probe.fd, 0)

    @property
    def waits(self) -> bool:
        return bool(self.epoll.poll(0))

    def measure(self, waited_s: float) -> float:
        """The age that is measured when the probe has waited so long."""
        self.probe.arm()
        assert self.waits
        self.now += waited_s
        self.probe.ready(READ)
        return self.control.age_s


@pytest.fixture(name="bench")
def _bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.probe.close()
    made.epoll.close()


def test_probe_is_ready_once_for_each_time_that_it_is_armed(bench: Bench) -> None:
    """Otherwise a quiet server would wake up for nothing."""
    assert not bench.waits
    bench.probe.arm()
    bench.probe.arm()
    assert (bench.waits, bench.waits) == (True, False)


@pytest.mark.parametrize(("later_s", "armed"), [(EVERY_S - 0.001, False), (EVERY_S + 0.001, True)])
def test_age_is_measured_only_so_often(bench: Bench, later_s: float, *, armed: bool) -> None:
    bench.probe.arm()
    assert bench.waits
    bench.probe.ready(READ)
    bench.now += later_s
    bench.probe.arm()
    assert bench.waits is armed


def test_age_is_what_the_probe_has_waited(bench: Bench) -> None:
    assert bench.measure(0.07) == pytest.approx(0.07)


def test_octets_that_one_turn_does_not_read_count_in_turns(bench: Bench) -> None:
    for octets in (1_000, 3_000, 2_000):
        bench.probe.left(octets, 1_000, 1, client=False)
    assert bench.measure(0.07) == pytest.approx(4 * 0.07)
    assert bench.measure(0.07) == pytest.approx(0.07)


@pytest.mark.parametrize(
    ("windows", "waited_s", "idle_s", "late"),
    [
        (FULL_WINDOWS, 0.021, 0.0, True),
        (FULL_WINDOWS - 1, 0.021, 0.0, False),
        (FULL_WINDOWS, 0.019, 0.0, False),
        (FULL_WINDOWS, 0.021, 1.0, False),
    ],
)
def test_several_full_windows_are_a_queue_that_is_too_old(
    bench: Bench, windows: int, waited_s: float, idle_s: float, *, late: bool
) -> None:
    """Not one client that sends much, and not a server that waits for the network."""
    bench.measure(0.0)
    bench.now += EVERY_S + 0.001
    for turn in (1, 2):
        for _ in range(windows):
            bench.probe.left(FULL_WINDOW, FULL_WINDOW * 1_000, turn, client=True)
    bench.probe.idle_s += idle_s
    assert (bench.measure(waited_s) > TARGET_S) is late


def test_fault_leaves_the_probe_ready_for_the_next_time(bench: Bench) -> None:
    bench.probe.arm()
    bench.probe.broken(ValueError())
    bench.probe.flush()


@pytest.mark.parametrize(
    ("octets", "client", "full"), [(FULL_WINDOW, True, 1), (FULL_WINDOW - 1, True, 0), (FULL_WINDOW, False, 0)]
)
def test_window_of_a_client_is_full_at_three_quarters(bench: Bench, octets: int, *, client: bool, full: int) -> None:
    """The windows of servers grow, and are bounded by nothing here."""
    bench.probe.left(octets, 1_000, 1, client=client)
    assert bench.probe.full_windows == full
