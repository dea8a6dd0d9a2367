"""When jobs run. The jobs fetch nothing, and time jumps from one timer to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sipmesh.server.refresh.backoff import FIRST_RETRY, Backoff
from sipmesh.server.refresh.fetch_schedule import FetchSchedule
from sipmesh.server.refresh.fetch_turns import MOST_OF_OWNER
from sipmesh.server.refresh.http_fetch import FetchError, HttpFetcher
from sipmesh.topology.expiry.fetch_status import FetchStatus
from sipmesh.topology.expiry.validity import DatedItem
from sipmesh.transport.resolver import NoResolver
from support.running import on_jumping_loop
from support.telling import Told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sipmesh.server.refresh.fetch_jobs import Clock

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def clock() -> datetime:
    """Noon, and the time of the loop since its start."""
    return NOON + timedelta(seconds=asyncio.get_running_loop().time())


@dataclass(eq=False)
class Job:
    """A job whose item is valid for two hours after each fetch; *faults* are those of its next fetches, None for none."""

    name: str = "http://crl.test/"
    owner: str = "partner.test"
    grace: timedelta = HOUR
    faults: Iterator[Exception | None] = field(default_factory=lambda: iter(()))
    gate: asyncio.Event | None = None
    pace: Backoff = field(default_factory=lambda: Backoff(lambda: 0.0))
    item: DatedItem | None = None
    runs: list[datetime] = field(default_factory=list)

    async def fetch(self, _http: HttpFetcher, now: Clock) -> None:
        self.runs.append(now())
        if self.gate is not None:
            await self.gate.wait()
        if (fault := next(self.faults, None)) is not None:
            raise fault
        self.item = DatedItem("CN=a", "CN=a", "7", "7", now(), now() + 2 * HOUR)


@asynccontextmanager
async def scheduling() -> AsyncIterator[tuple[FetchSchedule, Told]]:
    told, http = Told(), HttpFetcher(NoResolver())
    schedule = FetchSchedule(asyncio.get_running_loop(), http, clock, lambda: "Example", told.log)
    try:
        yield schedule, told
    finally:
        await schedule.close()
        await http.close()


@on_jumping_loop
async def test_job_runs_at_once_and_again_after_half_of_the_validity() -> None:
    async with scheduling() as (schedule, _):
        job = Job()
        began = clock()
        schedule.start(job)
        await asyncio.sleep(HOUR.total_seconds() + 1)
        assert [at - began < timedelta(seconds=1) for at in job.runs] == [True, False]
        assert timedelta() <= job.runs[1] - began - HOUR < timedelta(seconds=1)


@on_jumping_loop
async def test_fault_is_logged_once_and_again_after_a_success() -> None:
    """Two texts that differ in a number only are one fault."""
    async with scheduling() as (schedule, told):
        faults = [FetchError("answers 503 after 7 s"), FetchError("answers 503 after 8 s"), FetchError("refused"), None]
        job = Job(owner="", faults=iter([*faults, FetchError("refused")]))
        schedule.start(job)
        await asyncio.sleep(8 * FIRST_RETRY.total_seconds())
        assert [line["why"] for line in told.events("fetch failed: the stored CRL or answer stays in force")] == [
            "answers 503 after 7 s",
            "refused",
        ]
        assert {line["owner"] for line in told.events("fetch failed: the stored CRL or answer stays in force")} == {
            "Example"
        }
        assert len(list(told.events("fetch works again"))) == 1


@on_jumping_loop
async def test_bug_in_one_job_is_logged_and_the_job_runs_again() -> None:
    async with scheduling() as (schedule, told):
        job = Job(faults=iter([ZeroDivisionError("x")]))
        schedule.start(job)
        await asyncio.sleep(FIRST_RETRY.total_seconds() + 1)
        assert len(job.runs) == 2
        assert told.last("fault")["what"] == "in fetching from http://crl.test/"
        [status] = schedule.statuses(clock())
        assert (status.why, status.failing_since) == ("", None)


@on_jumping_loop
async def test_so_many_jobs_of_an_owner_run_at_the_same_time_and_the_next_one_waits() -> None:
    async with scheduling() as (schedule, _):
        gate = asyncio.Event()
        jobs = [Job(name=f"http://crl.test/{number}", gate=gate) for number in range(MOST_OF_OWNER + 1)]
        for job in jobs:
            schedule.start(job)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [len(job.runs) for job in jobs] == [1] * MOST_OF_OWNER + [0]
        gate.set()
        await schedule.poke(jobs[-1].name)
        assert len(jobs[-1].runs) == 1


@on_jumping_loop
async def test_poke_runs_a_job_once_and_joins_a_run_that_goes_on() -> None:
    async with scheduling() as (schedule, _):
        job = Job(gate=asyncio.Event())
        schedule.start(job)
        assert schedule.poke(job.name) is schedule.poke(job.name)
        assert job.gate is not None
        job.gate.set()
        await schedule.poke(job.name)
        assert len(job.runs) == 1
        await schedule.poke(job.name)
        assert len(job.runs) == 2


@on_jumping_loop
async def test_job_runs_again_only_after_the_time() -> None:
    async with scheduling() as (schedule, _):
        job = Job()
        schedule.start(job)
        await schedule.poke(job.name)
        await asyncio.sleep(9.9)
        schedule.run_again(job, 10.0)
        await asyncio.sleep(0.2)
        assert len(job.runs) == 1
        schedule.run_again(job, 10.0)
        await schedule.poke(job.name)
        assert len(job.runs) == 2


@on_jumping_loop
async def test_stopped_job_and_unwanted_job_no_longer_run() -> None:
    async with scheduling() as (schedule, _):
        stopped, unwanted, wanted = Job(), Job(), Job()
        schedule.start(stopped)
        schedule.start(unwanted, lambda: False)
        schedule.start(wanted, lambda: True)
        await asyncio.sleep(1)
        schedule.stop(stopped)
        await asyncio.sleep(HOUR.total_seconds())
        assert [len(job.runs) for job in (stopped, unwanted, wanted)] == [1, 1, 2]


@on_jumping_loop
async def test_close_ends_a_run_that_goes_on() -> None:
    async with scheduling() as (schedule, _):
        job = Job(gate=asyncio.Event())
        schedule.start(job)
        await asyncio.sleep(0)
        await schedule.close()
        assert (len(job.runs), job.item, schedule.statuses(clock())) == (1, None, ())


@on_jumping_loop
async def test_status_has_the_grace_in_its_end() -> None:
    async with scheduling() as (schedule, _):
        job = Job(faults=iter([None, FetchError("refused")]))
        schedule.start(job)
        await schedule.poke(job.name)
        item = job.item
        assert item is not None
        [status] = schedule.statuses(clock())
        assert status.held is not None
        assert (status.source, status.held.ends, status.alarming) == (job.name, item.ends + HOUR, False)
        await schedule.poke(job.name)
        assert schedule.statuses(clock() + HOUR) == (
            FetchStatus(job.name, job.owner, status.held, job.runs[1], "refused", alarming=True),
        )
