"""Deadlines of different length."""

from __future__ import annotations

from sipmesh.server.proxy.due_times import DueTimes


def test_each_thing_is_due_once_and_not_before_its_time() -> None:
    times: DueTimes[str] = DueTimes()
    times.put("late", 12.5)
    times.put("early", 10.0)
    assert times.due(9.9) == []
    assert times.due(10.0) == ["early"]
    assert times.due(12.4) == []
    assert times.due(13.0) == ["late"]
    assert len(times) == 0


def test_thing_that_is_put_again_has_its_new_time_only() -> None:
    """Who refreshes again and again leaves nothing behind."""
    times: DueTimes[str] = DueTimes()
    for at in range(10, 1000):
        times.put("a", float(at))
    assert (len(times), len(times._buckets)) == (1, 1)
    assert times.due(998.0) == []
    times.discard("a")
    times.discard("a")
    assert times.due(2000.0) == []


def test_thing_is_advanced_to_an_earlier_time_alone() -> None:
    """A look that comes too early costs little; a look that comes too late gives out what has ended."""
    times: DueTimes[str] = DueTimes()
    times.put("a", 10.0)
    times.advance("a", 20.0)
    assert times.due(10.0) == ["a"]
    times.put("a", 20.0)
    times.advance("a", 12.0)
    assert times.due(12.0) == ["a"]


def test_time_that_has_passed_is_due_at_the_next_look() -> None:
    times: DueTimes[str] = DueTimes()
    assert times.due(100.0) == []
    times.put("a", 5.0)
    assert times.due(101.0) == ["a"]
