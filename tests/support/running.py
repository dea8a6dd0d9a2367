"""Tests that are coroutines, each on a loop of its own and within a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

from sipmesh.transport.loop import loop_factory

P = ParamSpec("P")

PATIENCE_S = 20.0
"""A test that takes longer has failed; none is expected to take a tenth of it."""

LOOK_AGAIN_S = 0.01


def on_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on the loop that servers run on."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def within() -> None:
            async with asyncio.timeout(PATIENCE_S):
                await test(*args, **kwargs)

        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(within())

    return run


async def until(holds: Callable[[], object]) -> None:
    """Wait for something that no event tells; the test's own patience bounds it."""
    while not holds():
        await asyncio.sleep(LOOK_AGAIN_S)
