"""Long work does not occupy the loop: it runs in one thread, which gives way to the loop."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from sipmesh.server.process.off_loop import LARGE, SHORT_INTERVAL_S, later, off_loop, when_large
from support.running import on_loop


@on_loop
async def test_loop_turns_while_work_is_done() -> None:
    """The work ends only after the loop has turned a hundred times."""
    turned = threading.Event()

    async def turn() -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        turned.set()

    task = asyncio.create_task(turn())
    assert await off_loop(turned.wait, 10)
    await task


@on_loop
async def test_thread_switches_quickly_during_the_work_and_as_before_afterwards() -> None:
    before = sys.getswitchinterval()
    assert await off_loop(sys.getswitchinterval) == pytest.approx(SHORT_INTERVAL_S)
    assert sys.getswitchinterval() == before


@on_loop
async def test_one_work_runs_at_a_time_and_its_error_is_raised() -> None:
    threads = {await off_loop(threading.get_ident) for _ in range(3)}
    assert len(threads) == 1
    with pytest.raises(ZeroDivisionError):
        await off_loop(divmod, 1, 0)


@on_loop
async def test_other_work_waits_for_nothing_that_is_done_later() -> None:
    """The later work ends only after the other work has begun."""
    begun = threading.Event()
    waiting = asyncio.create_task(later(begun.wait, 10))
    await off_loop(begun.set)
    assert await waiting


@on_loop
async def test_only_a_large_document_is_read_in_the_thread() -> None:
    here = threading.get_ident()
    assert await when_large(LARGE - 1, threading.get_ident) == here
    assert await when_large(LARGE, threading.get_ident) != here
