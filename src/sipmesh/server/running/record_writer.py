"""Writes the records of one process to its journal: in batches, in a thread, twice a second. A full disk makes them wait."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.storage.call_records.journal import DAY_S, FOLDER, Journal

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.records.call_recorder import CallRecorder
    from sipmesh.server.running.worker_place import WorkerPlace
    from sipmesh.storage.call_records.call_record import CallRecord
    from sipmesh.storage.call_records.journal_entry import JournalEntry

MOST_KEPT: Final = 64
"""Documents of edges that wait for the disk."""

REMOVE_EVERY_S: Final = 600.0
"""Seconds between two looks for files that are too old."""


class RecordWriter:
    """Writes what *recorder* has made. *fault* says why the journal cannot be written, "" if it can."""

    def __init__(
        self,
        recorder: CallRecorder,
        state: Path,
        place: WorkerPlace,
        current: Current,
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._recorder, self._current, self._loop, self._log = recorder, current, loop, log
        server = current.value.view.name
        self.journal = Journal(state / FOLDER, server if place.is_alone else f"{server}.w{place.number}")
        self._thread = ThreadPoolExecutor(1, "sipmesh-calls")
        self._writing: asyncio.Future[None] | None = None
        self._is_open = False
        self._removed_at = -REMOVE_EVERY_S
        self._told_left_out = 0
        self.fault = ""
        self.written = 0
        self._kept: list[tuple[int, asyncio.Future[bool]]] = []

    @property
    def left_out(self) -> int:
        """How many records were lost, because too many have waited for the disk."""
        return self._recorder.buffer.left_out

    @property
    def is_idle(self) -> bool:
        """Whether no write is under way."""
        return self._writing is None or self._writing.done()

    async def keep(self, records: Sequence[CallRecord]) -> bool:
        """Write records that another server has made; tell whether they are on the disk. It waits as long as that takes."""
        buffer = self._recorder.buffer
        if not buffer.has_room(len(records)) or len(self._kept) >= MOST_KEPT:
            return False
        for record in records:
            buffer.add(record.entry())
        kept: asyncio.Future[bool] = self._loop.create_future()
        self._kept.append((buffer.made, kept))
        return await kept

    def begin(self) -> None:
        """Read which calls were up when the process before this one has ended."""
        if not self._recorder.is_on:
            return
        try:
            self._recorder.restore(self.journal.open())
        except (OperatorError, OSError) as wrong:
            self._failed(wrong)
        else:
            self._is_open = True

    def tick(self) -> None:
        """Write what waits, unless a write is under way; called about twice a second."""
        if not self.is_idle:
            return
        records = self._current.value.view.loaded.topology.call_records
        is_due = records is not None and self._loop.time() - self._removed_at >= REMOVE_EVERY_S
        buffer = self._recorder.buffer
        batch, through = buffer.take(), buffer.made
        if batch or is_due:
            if is_due:
                self._removed_at = self._loop.time()
            self._writing = self._loop.create_task(self._write(batch, through, is_due=is_due))
        if self.left_out > self._told_left_out:
            self._log.error("call records lost", count=self.left_out - self._told_left_out, why=self.fault)
            self._told_left_out = self.left_out

    async def _write(self, batch: Collection[JournalEntry], through: int, *, is_due: bool = False) -> None:
        try:
            await self._loop.run_in_executor(self._thread, self._append, batch, is_due)
        except (OperatorError, OSError) as wrong:
            self._recorder.buffer.put_back(batch)
            self._failed(wrong)
        else:
            self._worked(batch, through)

    def _append(self, batch: Collection[JournalEntry], is_due: bool) -> None:  # noqa: FBT001 - for the thread
        """Write a batch, and remove what is too old if that *is_due*; runs in the thread."""
        records = self._current.value.view.loaded.topology.call_records
        if records is not None:
            self.journal.limit_to(records.megabytes * 1_000_000)
        if not self._is_open:
            self.journal.open()
            self._is_open = True
        if batch:
            self.journal.append(batch)
        if records is not None and is_due:
            self.journal.remove_older(records.days * DAY_S)

    def _failed(self, wrong: Exception) -> None:
        if not self.fault:
            self._log.error("call records not written: they wait in memory", why=str(wrong))
        self.fault = str(wrong)

    def _worked(self, batch: Collection[JournalEntry], through: int) -> None:
        self.written += len(batch)
        for upto, kept in self._kept:
            if upto <= through and not kept.done():
                kept.set_result(True)
        self._kept = [(upto, kept) for upto, kept in self._kept if not kept.done()]
        if self.fault:
            self._log.info("call records written again", records=len(batch))
        self.fault = ""

    async def close(self) -> None:
        """Write what still waits; a disk that is full then has lost it."""
        if self._writing is not None:
            await self._writing
        buffer = self._recorder.buffer
        if batch := buffer.take():
            await self._write(batch, buffer.made)
        for _, kept in self._kept:
            kept.cancel()
        self._thread.shutdown()
