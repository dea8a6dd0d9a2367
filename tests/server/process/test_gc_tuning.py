"""The way of messages makes no cycles, and the garbage collector runs when the server is not busy."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from weakref import ref

import pytest

from sipmesh.server.process.gc_tuning import (
    BUSY_TIMES,
    LITTLE,
    LONGEST_EVERY_S,
    MOST_MISSED,
    NEXT_TO_NOTHING,
    QUIET_EVERY_S,
    SAMPLE,
    YOUNG,
    GcTuning,
)
from sipmesh.server.proxy.flow import Flow, ProxiedRequest, SentBranch
from sipmesh.sip.header import Message
from sipmesh.sip.rows import Row
from sipmesh.transport.link.link import Link
from support.network import FE1, Network
from support.running import on_loop, until

OURS = (ProxiedRequest, SentBranch, Flow, Message, Row, Link)


@pytest.fixture(name="collector")
def _collector(looks: list[int]) -> Iterator[GcTuning]:
    """A collector that has begun; the fixture *looks* restores the settings."""
    collector = GcTuning(0.0)
    collector.begin()
    looks.clear()
    try:
        yield collector
    finally:
        collector.end()
        gc.unfreeze()


@pytest.fixture(name="looks")
def _looks() -> Iterator[list[int]]:
    """Record the collected generations; restore the collector's settings afterwards."""
    looks: list[int] = []

    def note(phase: str, told: dict[str, int]) -> None:
        if phase == "stop":
            looks.append(told["generation"])

    before = gc.get_threshold()
    gc.callbacks.append(note)
    try:
        yield looks
    finally:
        gc.callbacks.remove(note)
        gc.set_threshold(*before)


@pytest.mark.wide
def test_objects_of_the_start_are_excluded(looks: list[int]) -> None:
    made = [list[int]() for _ in range(YOUNG)]
    before = gc.get_freeze_count()
    looks.clear()
    collector = GcTuning(0.0)
    collector.begin()
    collector.end()
    assert gc.get_freeze_count() - before >= len(made)
    assert looks == [2]


@pytest.mark.usefixtures("collector")
def test_survivors_of_a_young_collection_are_not_walked_through_again(looks: list[int]) -> None:
    kept = [list[int]() for _ in range(25 * YOUNG)]
    assert len(looks) >= len(kept) // YOUNG - 1
    assert set(looks) == {0}


class Cycle:
    """An object that refers to itself, and can be watched."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.usefixtures("collector", "looks")
@pytest.mark.wide
def test_collections_that_find_nothing_are_left_out_but_for_a_sample() -> None:
    gc.collect(0)
    left_out = [_frozen_by_a_collection() for _ in range(2 * SAMPLE)]
    assert left_out == [*[True] * (SAMPLE - 1), False] * 2


def _frozen_by_a_collection() -> bool:
    kept, before = [list[int]() for _ in range(100)], gc.get_freeze_count()
    gc.collect(0)
    return gc.get_freeze_count() - before >= len(kept)


@pytest.mark.usefixtures("collector", "looks")
@pytest.mark.wide
def test_no_collection_is_left_out_where_there_is_something_to_find() -> None:
    for _ in range(3):
        cycles = [Cycle() for _ in range(NEXT_TO_NOTHING + 1)]
        watched = [ref(cycle) for cycle in cycles]
        del cycles
        gc.collect(0)
        assert {seen() for seen in watched} == {None}


@pytest.mark.wide
def test_what_was_left_out_is_collected_with_all_the_rest(collector: GcTuning) -> None:
    gc.collect(0)
    cycle = Cycle()
    seen = ref(cycle)
    del cycle
    gc.collect(0)
    assert seen() is not None
    collector.tick(QUIET_EVERY_S, busy=False)
    assert seen() is None


@pytest.mark.parametrize(("after", "busy", "looked"), [
    (QUIET_EVERY_S - 1, False, 0),
    (QUIET_EVERY_S, False, 1),
    (QUIET_EVERY_S, True, 0),
    (BUSY_TIMES * QUIET_EVERY_S, True, 1),
])  # fmt: skip
@pytest.mark.wide
def test_full_collection_runs_when_not_busy_or_overdue(
    looks: list[int], *, after: float, busy: bool, looked: int
) -> None:
    collector = GcTuning(100.0)
    collector.tick(100.0 + after, busy=busy)
    collector.tick(100.0 + after, busy=busy)
    assert looks.count(2) == looked


def full_collections(collector: GcTuning, looks: list[int], begin: float, end: float) -> list[float]:
    """Tick once a minute, and return when all generations were collected, in minutes since *begin*."""
    at: list[float] = []
    for minute in range(int((end - begin) / 60.0) + 1):
        looks.clear()
        collector.tick(begin + 60.0 * minute, busy=False)
        at += [minute] * looks.count(2)
    return at


@pytest.mark.wide
def test_full_collections_become_rare_while_they_find_little(looks: list[int]) -> None:
    """One takes half a second where ten thousand phones are logged in."""
    assert full_collections(GcTuning(0.0), looks, 0.0, LONGEST_EVERY_S) == [5, 15, 35, 75, 155, 315, 635, 1275]


@pytest.mark.wide
def test_full_collections_run_once_a_day_at_least(looks: list[int]) -> None:
    collector = GcTuning(0.0)
    full_collections(collector, looks, 0.0, LONGEST_EVERY_S)
    looks.clear()
    collector.tick(1275 * 60.0 + LONGEST_EVERY_S, busy=True)
    assert looks == [2]


@pytest.mark.wide
def test_full_collections_run_often_again_after_a_collection_that_found_much(looks: list[int]) -> None:
    gc.collect()
    collector = GcTuning(0.0)
    gc.disable()
    try:
        cycles = [Cycle() for _ in range(LITTLE + 1)]
        del cycles
        collector.tick(QUIET_EVERY_S, busy=False)
    finally:
        gc.enable()
    assert full_collections(collector, looks, QUIET_EVERY_S, 4 * QUIET_EVERY_S) == [5, 15]


@pytest.mark.usefixtures("collector")
@pytest.mark.wide
def test_garbage_that_was_probably_missed_is_collected_early(collector: GcTuning, looks: list[int]) -> None:
    collector.tick(QUIET_EVERY_S, busy=False)
    for _ in range(MOST_MISSED // (SAMPLE - 1) + 1):  # samples, each with one object of garbage
        for _ in range(SAMPLE):
            cycle = Cycle()
            del cycle
            gc.collect(0)
    looks.clear()
    collector.tick(2 * QUIET_EVERY_S - 1, busy=False)
    assert not looks
    collector.tick(2 * QUIET_EVERY_S, busy=False)
    assert looks == [2]


@on_loop
@pytest.mark.wide
async def test_link_of_a_phone_that_has_gone_is_freed_without_the_collector(home: Network) -> None:
    """What is under way may refer to it a little longer, such as the removal of its registration from the store."""
    async with home:
        node = home.nodes[FE1]
        gc.collect()
        gc.disable()
        others = {id(flow) for flow in flows()}
        try:
            async with await home.phone("alice", FE1):
                assert {id(flow) for flow in flows()} > others
            await until(lambda: not node.relay.sweep(100) and {id(flow) for flow in flows()} <= others)
        finally:
            gc.enable()


def flows() -> list[Flow]:
    """Give each flow that has not been freed; a frozen object is not found."""
    return [one for one in gc.get_objects() if isinstance(one, Flow)]


@on_loop
@pytest.mark.wide
async def test_calls_and_messages_make_no_cycles(home: Network) -> None:
    """This includes links that have closed."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                await alice.send(alice.request("INVITE", "sip:bob@example.test"))
                called = await bob.request_in("INVITE")
                await bob.reply(called, 486)
                assert (await bob.request_in("ACK")).call_id == called.call_id
                assert (await alice.final()).status == 486
                await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
                await bob.reply(await bob.request_in("MESSAGE"), 200)
                assert (await alice.final()).status == 200
            await home.nodes[FE1].pool.drain()
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = [one for one in gc.garbage if isinstance(one, OURS)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert left == []
