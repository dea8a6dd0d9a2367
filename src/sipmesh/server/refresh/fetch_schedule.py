"""When each fetch job runs: at once, then again after the pause of its backoff."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sipmesh.errors import SipmeshError
from sipmesh.server.refresh.fetch_turns import FetchTurns
from sipmesh.topology.expiry.fetch_status import FetchStatus
from sipmesh.trust.formatting import tell_time

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sipmesh.server.log import Log
    from sipmesh.server.refresh.fetch_jobs import Clock, FetchJob
    from sipmesh.server.refresh.http_fetch import HttpFetcher

_NUMBERS = re.compile(r"[0-9]+")


@dataclass(slots=True)
class _Run:
    """One job while it is scheduled. *began_at* is a time of the loop, in seconds; *logged* is the last fault in the log."""

    job: FetchJob
    is_wanted: Callable[[], bool]
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None
    began_at: float = float("-inf")
    logged: str = ""

    def stop(self) -> None:
        """End the fetch and the timer."""
        if self.timer is not None:
            self.timer.cancel()
        if self.task is not None:
            self.task.cancel()


class FetchSchedule:
    """The schedule of fetch jobs of one server. *clock* gives the present instant, *organisation* our name for the log.

    *warn* logs a failure of a job, in place of what is logged for sources of CRLs and OCSP responses of others.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        http: HttpFetcher,
        clock: Clock,
        organisation: Callable[[], str],
        log: Log,
        warn: Callable[[FetchJob, str], object] | None = None,
    ) -> None:
        self._loop, self._http, self._clock, self._organisation, self._log = loop, http, clock, organisation, log
        self._warn = warn or self._source_failed
        self._runs: dict[FetchJob, _Run] = {}
        self.turns = FetchTurns()

    def start(self, job: FetchJob, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Run *job* now and again and again; *is_wanted* is asked before each repetition, and may stop the job."""
        self._runs[job] = run = _Run(job, is_wanted)
        self._begin(run)

    def stop(self, job: FetchJob) -> None:
        """Stop running *job*."""
        self._runs.pop(job).stop()

    def run_again(self, job: FetchJob, after_s: float) -> None:
        """Run *job* now, unless it runs or its last run began less than *after_s* seconds ago."""
        run = self._runs[job]
        if self._loop.time() - run.began_at >= after_s:
            self._begin(run)

    def poke(self, name: str) -> asyncio.Task[None]:
        """Run the job of that *name* now, unless it runs; returns the task of its run."""
        return self._begin(next(run for job, run in self._runs.items() if job.name == name))

    async def close(self) -> None:
        """Stop every job, and wait until none runs."""
        runs, self._runs = self._runs, {}
        for run in runs.values():
            run.stop()
        await asyncio.gather(*(run.task for run in runs.values() if run.task), return_exceptions=True)

    def statuses(self, at: datetime) -> tuple[FetchStatus, ...]:
        """Return the status of every job at the instant *at*."""
        return tuple(_status(job, at) for job in self._runs)

    def _begin(self, run: _Run) -> asyncio.Task[None]:
        if run.task is None or run.task.done():
            if run.timer is not None:
                run.timer.cancel()
            run.began_at = self._loop.time()
            run.task = self._loop.create_task(self._fetch(run))
        return run.task

    async def _fetch(self, run: _Run) -> None:
        fault = await self._attempt(run.job)
        at, item = self._clock(), run.job.item
        if item is not None and not fault:
            pause = self._succeeded(run, item.ends, at)
        else:
            pause = self._failed(run, fault or "the answer cannot be used", at)
        run.timer = self._loop.call_later(pause.total_seconds(), self._due, run)

    async def _attempt(self, job: FetchJob) -> str:
        """Fetch once, and return the fault, empty if there is none. A bug in one job must not stop the others."""
        try:
            async with self.turns.turn_of(job.owner):
                await job.fetch(self._http, self._clock)
        except (SipmeshError, OSError) as wrong:
            return str(wrong)
        except Exception as fault:  # noqa: BLE001 - see above
            self._log.error("fault", what=f"in fetching from {job.name}", exc_info=fault)
            return "a bug in sipmesh; see the log"
        return ""

    def _succeeded(self, run: _Run, ends: datetime, at: datetime) -> timedelta:
        if run.logged:
            self._log.info("fetch works again", source=run.job.name, owner=run.job.owner)
        run.logged = ""
        return run.job.pace.succeeded(at, ends)

    def _failed(self, run: _Run, fault: str, at: datetime) -> timedelta:
        """Log a fault once, until there is another one; the same text with other numbers is the same fault."""
        job = run.job
        pause = job.pace.failed(at, fault)
        reason = _NUMBERS.sub("#", fault)
        if reason != run.logged:
            run.logged = reason
            self._warn(job, fault)
        return pause

    def _source_failed(self, job: FetchJob, fault: str) -> None:
        item = job.item
        self._log.warning(
            "fetch failed: the stored CRL or answer stays in force",
            source=job.name,
            owner=job.owner or self._organisation(),
            why=fault,
            refuses_from=tell_time(item.ends + job.grace) if item is not None else "now",
        )

    def _due(self, run: _Run) -> None:
        if run.is_wanted():
            self._begin(run)


def _status(job: FetchJob, at: datetime) -> FetchStatus:
    item, pace = job.item, job.pace
    alarming = pace.alarms(at, item.ends if item is not None else None)
    if item is not None:
        item = replace(item, ends=item.ends + job.grace)
    return FetchStatus(job.name, job.owner, item, pace.failing_since, pace.why, alarming)
