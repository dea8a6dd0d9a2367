"""Long work in a thread, so that the event loop goes on with messages.

Python runs one thread at a time. The loop gives its turn away at every read and write, and a thread that computes keeps the turn
for the switch interval, 5 ms by default: then ten messages would take 50 ms. So the interval is short while such work runs. Only
one thread works at a time.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, TypeVarTuple

from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SHORT_INTERVAL_S: Final = 0.0002
"""Seconds for which the working thread may keep the loop waiting at a time."""

LARGE: Final = 8 << 10
"""Octets of a signed document from which a thread reads it: 70 servers, or 20 users. A smaller one takes a few milliseconds."""

_worker: Final = ThreadPoolExecutor(1, "sipmesh-work")
_later: Final = ThreadPoolExecutor(1, "sipmesh-later")
_reader: Final = ThreadPoolExecutor(1, "sipmesh-read")
OPENER: Final = ThreadPoolExecutor(1, "sipmesh-open")
"""The thread that opens a database which is not in force yet: its server may not answer for a minute, and no plan waits."""


async def off_loop(work: Callable[[*Ts], T], *args: *Ts) -> T:
    """Run *work* in the thread for long work, and return its result; exceptions of *work* are raised here."""
    context, bound = copy_context(), partial(work, *args)
    return await asyncio.get_running_loop().run_in_executor(_worker, lambda: context.run(_gently, bound))


async def later(work: Callable[[*Ts], T], *args: *Ts) -> T:
    """Run *work* as `off_loop` does, in another thread: a change of a draft takes seconds, and no revocation waits for it."""
    context, bound = copy_context(), partial(work, *args)
    return await asyncio.get_running_loop().run_in_executor(_later, lambda: context.run(_gently, bound))


async def within(
    seconds: float, what: str, work: Callable[[*Ts], T], *args: *Ts, thread: ThreadPoolExecutor = _reader
) -> T:
    """Run *work*, which changes nothing, in a thread of its own, and return its result; exceptions are raised here.

    Raises `OperatorError`, which names *what*, after *seconds*. Such work waits for databases, whose servers may not answer. It
    has one *thread*, so that the number of threads is bounded.
    """
    context, bound = copy_context(), partial(work, *args)
    asked = asyncio.get_running_loop().run_in_executor(thread, lambda: context.run(_gently, bound))
    try:
        return await asyncio.wait_for(asked, seconds)
    except TimeoutError:
        remedy = "check that the databases answer, then try again"
        raise OperatorError(f"{what} was not made within {seconds:g} s; {remedy}") from None


async def when_large(octets: int, work: Callable[[*Ts], T], *args: *Ts) -> T:
    """Run *work* in the thread if it reads a document of ``LARGE`` *octets* or more, and at once if the document is smaller."""
    return await off_loop(work, *args) if octets >= LARGE else work(*args)


def _gently(work: Callable[[], T]) -> T:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SHORT_INTERVAL_S)
    try:
        return work()
    finally:
        sys.setswitchinterval(before)
