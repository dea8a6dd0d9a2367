"""The virtual loop: time moves only when nothing can run, hung processes wait, dead processes do nothing."""

from __future__ import annotations

import asyncio
import random

import pytest

from simulation.loop import LONGEST_BATCH, StuckError, VirtualLoop
from simulation.processes import Process, ProcessState, within


@pytest.fixture(name="failures")
def _failures() -> list[str]:
    return []


@pytest.fixture(name="loop")
def _loop(failures: list[str]) -> VirtualLoop:
    return VirtualLoop(random.Random(1), lambda where, context: failures.append(f"{where}: {context['exception']!r}"))


def test_time_jumps_to_the_next_timer(loop: VirtualLoop) -> None:
    """An hour costs nothing, and the order is that of the times."""
    seen: list[tuple[float, str]] = []
    for at, what in ((3_600.0, "late"), (1.0, "early")):
        loop.call_at(at, lambda what=what: seen.append((loop.time(), what)))
    loop.run(3_600.0)
    assert seen == [(1.0, "early"), (3_600.0, "late")]


def test_a_timer_beyond_the_end_waits(loop: VirtualLoop) -> None:
    seen: list[float] = []
    loop.call_at(10.0, lambda: seen.append(loop.time()))
    loop.run(9.999)
    assert (seen, loop.now) == ([], 9.999)
    loop.run(10.0)
    assert seen == [10.0]


def test_tasks_sleep_and_time_out(loop: VirtualLoop) -> None:
    """The tools of asyncio run on the virtual loop."""
    seen: list[float] = []

    async def wait() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await asyncio.sleep(60)
        seen.append(asyncio.get_running_loop().time())
        seen.append(await asyncio.to_thread(lambda: 7.0))

    task = loop.create_task(wait())
    loop.run(10.0)
    assert (task.done(), seen) == (True, [2.5, 7.0])


def test_a_hung_process_continues_where_it_was(loop: VirtualLoop) -> None:
    """SIGSTOP keeps the timers that are due, SIGCONT runs them late."""
    process, seen = Process("fe1", ""), list[float]()
    within(process).run(loop.call_at, 1.0, lambda: seen.append(loop.time()))
    process.state = ProcessState.HUNG
    loop.run(5.0)
    assert seen == []
    process.state = ProcessState.RUNNING
    loop.run(6.0)
    assert seen == [5.0]


def test_a_dead_process_does_nothing(loop: VirtualLoop) -> None:
    process, other, seen = Process("fe1", ""), Process("fe2", ""), list[str]()
    for one in (process, other):
        within(one).run(loop.call_at, 1.0, seen.append, one.name)
    process.state = ProcessState.DEAD
    loop.forget(process)
    within(process).run(loop.call_soon, seen.append, "after its death")
    loop.run(2.0)
    assert seen == ["fe2"]


def test_an_exception_is_reported_with_its_process(loop: VirtualLoop, failures: list[str]) -> None:
    within(Process("fe1", "")).run(loop.call_soon, dict[str, int]().__getitem__, "absent")
    loop.run(1.0)
    assert failures == ["fe1: KeyError('absent')"]


def test_a_loop_without_an_end_is_an_error(loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual time would stand still for ever."""
    assert LONGEST_BATCH > 10_000
    monkeypatch.setattr("simulation.loop.LONGEST_BATCH", 50)

    def again() -> None:
        loop.call_soon(again)

    again()
    with pytest.raises(StuckError):
        loop.run(1.0)
