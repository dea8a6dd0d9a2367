"""Tests that are coroutines, each on a loop of its own and within a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

from client.clock import JumpingLoop
from sipmesh.transport.reactor.event_loop import Loop

P = ParamSpec("P")

PATIENCE_S = 60.0
"""A test that takes longer has failed; none is expected to take a thirtieth of it."""

JUMPING_PATIENCE_S = 150.0
"""The same for a test whose time jumps: it waits a little for the kernel at each of hundreds of timers."""

LONG_S = 10_000.0
"""The bound of a test whose time jumps."""

LOOK_AGAIN_S = 0.01


def within(patience_s: float) -> Callable[[Callable[P, Coroutine[Any, Any, None]]], Callable[P, None]]:
    """Run a test on the loop that servers run on, for *patience_s* at most."""

    def decorate(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
        @wraps(test)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            async def bounded() -> None:
                async with asyncio.timeout(patience_s):
                    await test(*args, **kwargs)

            with asyncio.Runner(loop_factory=Loop) as runner:
                runner.run(bounded())

        return run

    return decorate


def on_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on the loop that servers run on."""
    return within(PATIENCE_S)(test)


async def until(holds: Callable[[], object]) -> None:
    """Wait for something that no event tells; the test's own patience bounds it."""
    while not holds():
        await asyncio.sleep(LOOK_AGAIN_S)


def on_jumping_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on a loop that jumps to its next timer where nothing is ready: half a minute takes no time.

    Loopback is ready at once, so that time passes only while all tasks wait. The bounds are on that loop's time, and on real
    time: a test that looks again and again would reach the first one after half an hour.
    """

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(LONG_S):
                await test(*args, **kwargs)

        with asyncio.Runner(loop_factory=lambda: JumpingLoop(JUMPING_PATIENCE_S)) as runner:
            runner.run(bounded())

    return run
