"""An inquiry has its answer once it is there, and none after it was stopped."""

from __future__ import annotations

import asyncio

from sipmesh.server.agent.probing.inquiry import Inquiry
from support.running import on_loop, until


async def seven() -> int:
    return 7


async def never() -> int:
    await asyncio.Event().wait()
    return 0


@on_loop
async def test_answer_is_there_once_the_work_has_ended() -> None:
    inquiry: Inquiry[int] = Inquiry(asyncio.get_running_loop())
    assert (inquiry.is_asking, inquiry.answers) == (False, None)
    inquiry.begin(seven)
    assert (inquiry.is_asking, inquiry.answers) == (True, None)
    await until(lambda: not inquiry.is_asking)
    assert inquiry.answers == 7


@on_loop
async def test_what_is_stopped_has_no_answer_and_the_next_work_replaces_it() -> None:
    inquiry: Inquiry[int] = Inquiry(asyncio.get_running_loop())
    inquiry.begin(never)
    inquiry.stop()
    assert (inquiry.is_asking, inquiry.answers) == (False, None)
    inquiry.begin(never)
    inquiry.begin(seven)
    await until(lambda: not inquiry.is_asking)
    assert inquiry.answers == 7
