"""The turns of the event loop are counted by their length, and the longest one is known until it is asked for."""

from __future__ import annotations

import asyncio
import time

import pytest

from sipmesh.transport.reactor.reactor import Reactor
from sipmesh.transport.reactor.turn_meter import BOUNDS, TurnMeter
from support.running import on_loop


def test_turn_belongs_to_the_bucket_of_its_bound() -> None:
    meter = TurnMeter()
    for seconds in (0.0, BOUNDS[0], BOUNDS[1], BOUNDS[1] * 1.01, BOUNDS[-1], BOUNDS[-1] * 2):
        meter.ended(seconds)
    counts = dict(meter.up_to())
    assert [counts[bound] for bound in (*BOUNDS[:3], BOUNDS[-2], BOUNDS[-1], float("inf"))] == [2, 3, 4, 4, 5, 6]
    assert meter.total == pytest.approx(sum((BOUNDS[0], BOUNDS[1] * 2.01, BOUNDS[-1] * 3)))


def test_longest_turn_is_given_once() -> None:
    meter = TurnMeter()
    meter.ended(0.5)
    meter.ended(0.1)
    assert (meter.take_longest(), meter.take_longest()) == (0.5, 0.0)
    meter.ended(0.1)
    assert meter.take_longest() == 0.1


@on_loop
async def test_reactor_measures_what_occupies_its_loop() -> None:
    """Work of a coroutine counts too, and waiting does not."""
    reactor = Reactor(asyncio.get_running_loop())
    await asyncio.sleep(0.001)
    reactor.meter.take_longest()
    turns = reactor.meter.turns
    await asyncio.sleep(0.05)
    assert reactor.meter.turns > turns
    assert reactor.meter.take_longest() < 0.05
    began = time.perf_counter()
    while time.perf_counter() - began < 0.05:
        pass
    await asyncio.sleep(0.001)
    assert reactor.meter.take_longest() >= 0.05
    reactor.close()
