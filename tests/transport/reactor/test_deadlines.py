"""Alarms of links: each at its time, once, and the earliest first."""

from __future__ import annotations

from sipmesh.transport.reactor.deadlines import Deadlines


class Alarm:
    """Something with an alarm."""

    def __init__(self) -> None:
        self.alarm = 0.0

    def due(self, _now: float) -> None: ...

    def broken(self, _error: Exception) -> None: ...


def test_alarm_is_due_at_its_time_and_not_before() -> None:
    deadlines, alarm = Deadlines(), Alarm()
    assert deadlines.earliest() is None
    deadlines.set(alarm, 10.0)
    assert list(deadlines.due(9.999)) == []
    assert list(deadlines.due(10.0)) == [alarm]
    assert (list(deadlines.due(11.0)), alarm.alarm) == ([], 0.0)


def test_earlier_alarm_replaces_a_later_one_only() -> None:
    deadlines, alarm = Deadlines(), Alarm()
    deadlines.set(alarm, 10.0)
    deadlines.set(alarm, 20.0)
    deadlines.set(alarm, 5.0)
    assert deadlines.earliest() == 5.0
    assert list(deadlines.due(30.0)) == [alarm]


def test_alarm_that_is_set_again_at_once_does_not_delay_others() -> None:
    deadlines, alarm = Deadlines(), Alarm()
    deadlines.set(alarm, 1.0)
    for timed in deadlines.due(1.0):
        deadlines.set(timed, 1.0)
    assert deadlines.earliest() == 1.0


def test_alarms_come_in_the_order_of_their_times() -> None:
    deadlines, alarms = Deadlines(), [Alarm(), Alarm(), Alarm()]
    for alarm, when in zip(alarms, (3.0, 1.0, 2.0), strict=True):
        deadlines.set(alarm, when)
    assert list(deadlines.due(3.0)) == [alarms[1], alarms[2], alarms[0]]
