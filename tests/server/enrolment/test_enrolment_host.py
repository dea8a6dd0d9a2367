"""Requests for certificates take turns, and a bounded number waits."""

from __future__ import annotations

import asyncio
import threading

import pytest
from aiohttp import web

from sipmesh.server.enrolment import enrolment_host
from sipmesh.server.enrolment.enrolment_host import Turns
from support.running import on_loop


@on_loop
async def test_requests_work_one_at_a_time_and_one_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolment_host, "MOST_WAITING", 2)
    turns, goes_on, working = Turns(), threading.Event(), list[int]()

    def work(number: int) -> int:
        working.append(number)
        goes_on.wait(10)
        return number

    tasks = [asyncio.create_task(turns.work(work, number)) for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(web.HTTPServiceUnavailable):
        await turns.work(work, 9)
    assert working in ([], [0])
    goes_on.set()
    assert await asyncio.gather(*tasks) == [0, 1]
    assert await turns.work(work, 2) == 2
