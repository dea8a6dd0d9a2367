"""Commands between supervisor and worker: answers find their question, and no caller waits for a process that has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.control_socket import Command
from sipmesh.server.workers.orders import Orders, WorkerEndedError
from support.running import on_loop
from support.siblings import ONE, TWO, Pair, pair_of


def as_supervisor(pair: Pair) -> None:
    """Let the first process be the supervisor of the second."""
    siblings = pair.siblings(TWO)
    siblings.channels[0] = siblings.channels.pop(ONE)
    siblings.channels[0].number = 0


def orders_of(
    pair: Pair,
    worker: int,
    commands: Mapping[str, Command] | None = None,
    in_order: Mapping[str, Command] | None = None,
) -> Orders:
    """What takes the orders at a worker."""
    orders = pair.nodes[worker].outside.orders = Orders(pair.siblings(worker), commands or {}, in_order)
    return orders


@on_loop
async def test_orders_are_carried_out_in_turn_and_questions_are_not_kept_waiting(example: Organisation) -> None:
    may_end, done = asyncio.Event(), list[str]()

    async def slow(asked: Mapping[str, Any]) -> str:
        await may_end.wait()
        done.append(asked["name"])
        return str(asked["name"])

    async def quick(_asked: Mapping[str, Any]) -> int:
        return 5

    async def refuses(_asked: Mapping[str, Any]) -> None:
        raise OperatorError("no")

    async with pair_of(example) as pair:
        as_supervisor(pair)
        ours = orders_of(pair, ONE)
        theirs = orders_of(pair, TWO, {"quick": quick, "refuses": refuses}, {"slow": slow})
        theirs.begin()
        asked = [asyncio.create_task(ours.ask(TWO, "slow", 10.0, name=name)) for name in ("a", "b")]
        assert await ours.ask(TWO, "quick", 10.0) == 5
        with pytest.raises(OperatorError, match="no"):
            await ours.ask(TWO, "refuses", 10.0)
        with pytest.raises(OperatorError, match="unknown command"):
            await ours.ask(TWO, "nothing", 10.0)
        with pytest.raises(TimeoutError):
            await ours.ask(TWO, "slow", 0.0, name="c")
        may_end.set()
        assert [await one for one in asked] == ["a", "b"]
        assert done[:2] == ["a", "b"]
        theirs.close()


@on_loop
async def test_worker_that_is_no_supervisor_gives_no_orders(example: Organisation) -> None:
    async def never(_asked: Mapping[str, Any]) -> None:
        raise AssertionError

    async with pair_of(example) as pair:
        ours = orders_of(pair, ONE)
        orders_of(pair, TWO, {"serve": never})
        with pytest.raises(TimeoutError):
            await ours.ask(TWO, "serve", 0.05)


@on_loop
async def test_question_ends_with_the_process_that_was_asked(example: Organisation) -> None:
    async with pair_of(example) as pair:
        ours = orders_of(pair, ONE)
        asked = asyncio.create_task(ours.ask(TWO, "anything", 10.0))
        await asyncio.sleep(0)
        pair.siblings(TWO).close()
        with pytest.raises(WorkerEndedError):
            await asked
        with pytest.raises(WorkerEndedError):
            await ours.ask(TWO, "anything", 10.0)
