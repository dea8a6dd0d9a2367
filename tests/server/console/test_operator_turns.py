"""One operator makes one change of the draft at a time, and rests as long as it took. Others do not wait for the rest."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.console.operator_turns import OperatorTurns
from support.running import on_loop


class Clock:
    """Time that passes by resting, and by work."""

    def __init__(self) -> None:
        self.now, self.rests = 100.0, list[float]()

    def __call__(self) -> float:
        return self.now

    async def rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.now += seconds


async def change(turns: OperatorTurns, clock: Clock, operator: str, took_s: float) -> None:
    async with turns.with_rest(operator):
        clock.now += took_s


@on_loop
async def test_operator_rests_as_long_as_the_last_change_took_and_others_do_not() -> None:
    clock = Clock()
    turns = OperatorTurns(clock, clock.rest)
    for operator, took_s in (("otto", 8.0), ("sona", 1.0), ("otto", 2.0), ("sona", 0.0)):
        await change(turns, clock, operator, took_s)
    assert clock.rests == [0.0, 0.0, 7.0, 0.0]


async def refused(turns: OperatorTurns, clock: Clock) -> None:
    async with turns.with_rest("otto"):
        clock.now += 5.0
        raise OperatorError("no such key")


@on_loop
async def test_change_that_fails_counts_too() -> None:
    clock = Clock()
    turns = OperatorTurns(clock, clock.rest)
    with pytest.raises(OperatorError):
        await refused(turns, clock)
    await change(turns, clock, "otto", 1.0)
    assert clock.rests == [0.0, 5.0]


@on_loop
async def test_one_change_of_an_operator_runs_at_a_time_and_that_of_another_beside_it() -> None:
    turns, runs, over = OperatorTurns(), list[str](), asyncio.Event()

    async def long(operator: str) -> None:
        async with turns.with_rest(operator):
            runs.append(operator)
            await over.wait()

    tasks = [asyncio.create_task(long(operator)) for operator in ("otto", "otto", "sona")]
    while len(runs) < 2:
        await asyncio.sleep(0)
    assert sorted(runs) == ["otto", "sona"]
    over.set()
    await asyncio.gather(*tasks)
    assert sorted(runs) == ["otto", "otto", "sona"]
