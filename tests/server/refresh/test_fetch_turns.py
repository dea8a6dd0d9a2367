"""Which owner waits for whose fetches."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from sipmesh.server.refresh.fetch_turns import MOST_OF_OWNER, MOST_OF_PARTNERS, FetchTurns


async def is_free(turns: FetchTurns, owner: str) -> bool:
    """Whether *owner* gets its turn without waiting."""

    async def take() -> None:
        async with turns.turn_of(owner):
            pass

    taking = asyncio.create_task(take())
    await asyncio.sleep(0)
    is_done = taking.done()
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    return is_done


def test_owner_waits_for_its_own_fetches_only() -> None:
    async def run() -> None:
        turns = FetchTurns()
        async with AsyncExitStack() as stack:
            for _ in range(MOST_OF_OWNER):
                await stack.enter_async_context(turns.turn_of("slow.test"))
            assert [await is_free(turns, owner) for owner in ("slow.test", "other.test", "")] == [False, True, True]
        assert await is_free(turns, "slow.test")

    asyncio.run(run())


def test_own_authority_waits_for_no_partner() -> None:
    async def run() -> None:
        turns = FetchTurns()
        async with AsyncExitStack() as stack:
            for n in range(MOST_OF_PARTNERS):
                await stack.enter_async_context(turns.turn_of(f"p{n}.test"))
            assert [await is_free(turns, owner) for owner in ("other.test", "")] == [False, True]

    asyncio.run(run())


def test_partners_get_their_turns_in_the_order_of_their_requests() -> None:
    """A partner that asks again waits behind a partner that waits already."""

    async def run() -> None:
        turns, order = FetchTurns(), list[str]()

        async def fetch(owner: str) -> None:
            async with turns.turn_of(owner):
                order.append(owner)

        async with AsyncExitStack() as stack:
            for n in range(MOST_OF_PARTNERS):
                await stack.enter_async_context(turns.turn_of(f"p{n}.test"))
            waiting = [asyncio.create_task(fetch(owner)) for owner in ("other.test", "p1.test")]
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)
        assert order == ["other.test", "p1.test"]

    asyncio.run(run())
