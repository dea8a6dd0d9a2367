"""How soon phones are back after their front end stopped and started again; docs/reference/tested-phones.md has the figures."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from interop.hosts_file import require_namespaces
from interop.matrix import page
from interop.matrix.page import RETURNS, WRITES
from interop.matrix.stage import MAKES, Stage, stage
from sipmesh.demo.network import FE1
from sipmesh.server.admin.replies import PREPARE_DRAIN

pytestmark = [pytest.mark.soak, pytest.mark.peer("baresip", "linphone", "pjsua2", "chromium", "certutil", "npm")]

AWAY_S = 1.3
LOOK_AGAIN_S = 0.1
LONGEST_S = 120.0
"""The phones ask for registrations of 600 s: a phone that notices nothing is away for longer."""
SLACK_S = 60.0
"""So much later than on the page a phone may be back: some choose their pauses at random."""
NOT_BACK = "not within 120 s"

Stop = Callable[[Stage], Awaitable[None]]


async def prepares(phones: Stage) -> None:
    """`sipmesh drain fe1 --prepare`: phones that register from now on get one minute."""
    await phones.network.result_of(PREPARE_DRAIN, FE1)


async def does_not_prepare(_: Stage) -> None:
    """The server is killed."""


async def play(folder: Path, prepare: Stop) -> dict[str, str]:
    """All makes log in, the server stops and starts again; gives for each make how soon it has registered again."""
    async with stage(folder, pages=True) as phones, AsyncExitStack() as stack:
        await prepare(phones)
        for make in MAKES:
            await stack.enter_async_context(phones.phone(make, outbound=True))
            await phones.registered(make)
        began = await restarted(phones)
        return {make: seen async for make, seen in coming_back(phones, began)}


async def restarted(phones: Stage) -> float:
    """Kill the front end and start it again; gives the moment of its end, in seconds of the monotonic clock."""
    began = await phones.kill(FE1)
    await asyncio.sleep(AWAY_S)
    await phones.network.start(FE1)
    return began


async def coming_back(phones: Stage, began: float) -> AsyncIterator[tuple[str, str]]:
    """Give each make with its time, as they come; those that have not come at the end did not come."""
    missing = set(MAKES)
    while missing and time.monotonic() - began < LONGEST_S:
        for make in sorted(missing):
            if await phones.bindings(make):
                missing.remove(make)
                yield make, f"{time.monotonic() - began:.0f} s"
        await asyncio.sleep(LOOK_AGAIN_S)
    for make in missing:
        yield make, NOT_BACK


@pytest.mark.parametrize(("row", "prepare"), [(RETURNS[0], does_not_prepare), (RETURNS[1], prepares)])
def test_phones_are_back(tmp_path: Path, row: str, prepare: Stop) -> None:
    require_namespaces()
    seen = asyncio.run(play(tmp_path, prepare))
    for make in MAKES:
        if WRITES in os.environ:
            page.write(seen[make], row, make)
        judge(seen[make], page.read()[row, make])


def judge(seen: str, promised: str) -> None:
    """A phone that came back by itself does so again, and not much later."""
    if promised != NOT_BACK:
        assert seen != NOT_BACK
        assert float(seen.removesuffix(" s")) < float(promised.removesuffix(" s")) + SLACK_S
