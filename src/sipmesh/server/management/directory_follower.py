"""The management server follows the directory: it syncs at intervals, if it leads, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from sipmesh.errors import OperatorError
from sipmesh.server.directory.explain_report import ExplainReport
from sipmesh.server.management.replies import DirectoryConflict, DirectoryReply
from sipmesh.server.management.server_faults import Fault
from sipmesh.server.process.clock import now_utc
from sipmesh.server.scim.scim_source import SCIM
from sipmesh.storage.seen_users import SeenUsers
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.user_address import full_address

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sipmesh.server.directory.directory_mirror import DirectoryMirror
    from sipmesh.server.directory.sync import DirectoryCounts, DirectorySync, Looked, Taken
    from sipmesh.server.log import Log
    from sipmesh.server.management.publishing.publisher import ManagementServer
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded

T = TypeVar("T")

EVERY_S: Final = 20.0
"""Seconds between two syncs: a user who is disabled in the directory is out within a minute."""

EVERY_CHANGE_S: Final = 5.0
"""Seconds between two syncs where the directory tells what has changed."""

REST: Final = 4
"""How many times as long as it took the pause after such a sync is at least: all users are compared each time."""

ACCEPTED_S: Final = 3_600.0
"""Seconds for which an operator lets SCIM clients end the access of many users."""

DAY_S: Final = 86_400.0
MOST_WAITING: Final = 64
"""Requests of SCIM clients that wait for their turn; each takes some milliseconds."""

MOST_SHOWN: Final = 100
"""Conflicts and faults of entries in a report; the rest is counted."""

WHO: Final = "directory"
"""The operator in the audit log of what the directory has changed."""


class DirectoryFollower:
    """The syncs of one management server; *leads* tells whether it leads, so that it may write."""

    def __init__(
        self,
        server: ManagementServer,
        management_db: ManagementDb,
        leads: Callable[[], bool],
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._server, self._management_db, self._leads, self._loop, self._log = server, management_db, leads, loop, log
        self._thread = ThreadPoolExecutor(1, "sipmesh-directory")
        self._task: asyncio.Task[None] | None = None
        self._due_at, self._waiting = loop.time(), 0
        self._mirror: DirectoryMirror | None = None
        self._followed: Loaded | None = None
        self._refused, self._refused_at, self._accepts_until = "", 0.0, 0.0
        self.report = DirectoryReply()

    def tick(self) -> None:
        """Start a sync if it is time for one, and none runs. SCIM clients tell each change: only another version needs a sync."""
        loaded = self._server.view.loaded
        topology, is_free = loaded.topology, self._leads() and (self._task is None or self._task.done())
        if topology.directory is None and topology.scim is None:
            self.report, self._followed = DirectoryReply(), None
        elif is_free and self._loop.time() >= self._due_at and (topology.scim is None or loaded is not self._followed):
            self._due_at = self._loop.time() + EVERY_S
            self._task = self._loop.create_task(self._sync(loaded))

    async def _sync(self, loaded: Loaded) -> None:
        before, at, began = self.report, now_utc(), self._loop.time()
        try:
            self.report = await self._loop.run_in_executor(self._thread, self._synced, loaded, at)
            self._followed = loaded
            if loaded.topology.scim is not None:
                self.report = replace(self.report, fault=self._refusal())
        except OperatorError as wrong:
            self.report = DirectoryReply(before.server, before.at, before.users, before.ended, fault=wrong.message)
        if self.report.fault and self.report.fault != before.fault:
            self._log.error("directory is not synced: nothing is changed", why=self.report.fault)
        if before.fault and not self.report.fault:
            self._log.info("directory is synced again", server=self.report.server)
        if self._mirror is not None and self._mirror.follows:
            now = self._loop.time()
            self._due_at = min(self._due_at, now + max(EVERY_CHANGE_S, REST * (now - began)))

    async def with_scim(self, work: Callable[[Loaded, Users, DirectorySync, bool], T], who: str) -> T:
        """Run *work* of the SCIM client *who* in the thread of the syncs, so that no two changes of users run at once.

        The last argument of *work* tells whether an operator has accepted losses. Raises `OperatorError`.
        """
        if self._waiting >= MOST_WAITING:
            raise OperatorError("too many requests wait")
        self._waiting += 1
        is_accepted = self._loop.time() < self._accepts_until
        try:
            done, counts = await self._loop.run_in_executor(
                self._thread, self._with_scim, self._server.view.loaded, work, who, is_accepted
            )
        finally:
            self._waiting -= 1
        report = replace(self.report, server=SCIM, fault=self._refusal(), at=now_utc())
        self.report = replace(report, users=counts.users, ended=counts.ended)
        return done

    def _refusal(self) -> str:
        """Say why a SCIM client was stopped within a day, "" if none was, or if an operator has accepted it."""
        return self._refused if self._loop.time() < self._refused_at + DAY_S else ""

    def _with_scim(
        self,
        loaded: Loaded,
        work: Callable[[Loaded, Users, DirectorySync, bool], T],
        who: str,
        is_accepted: bool,  # noqa: FBT001 - the last argument of *work*
    ) -> tuple[T, DirectoryCounts]:
        with self._opened(loaded, who) as (users, sync), sync.alone():
            return work(loaded, users, sync, is_accepted), sync.counts()

    def refused_losses(self, why: str) -> None:
        """Remember that a SCIM client would have ended the access of too many users: a fault until an operator accepts it."""
        if not self._refused:
            self._log.error("a SCIM client is stopped: nothing is changed", why=why)
        self._refused, self._refused_at = why, self._loop.time()

    def accept_losses(self) -> DirectoryReply:
        """Let SCIM clients end the access of any number of users for `ACCEPTED_S`."""
        self._accepts_until, self._refused = self._loop.time() + ACCEPTED_S, ""
        self.report = replace(self.report, fault="")
        return self.report

    async def explain(self, user: str) -> ExplainReport:
        """Return what the directory has of *user*, and what a sync makes of it; raises `OperatorError`."""
        loaded = self._server.view.loaded
        return await self._loop.run_in_executor(self._thread, self._explained, loaded, user, now_utc())

    def _explained(self, loaded: Loaded, user: str, at: datetime) -> ExplainReport:
        with self._opened(loaded) as (_, sync):
            return ExplainReport.of(sync.explain(full_address(user, loaded.topology), at))

    def _synced(self, loaded: Loaded, at: datetime) -> DirectoryReply:
        """Sync once, in the thread."""
        from sipmesh.server.directory.directory_mirror import DirectoryMirror

        has_scim = loaded.topology.scim is not None
        mirror = self._mirror = None if has_scim else self._mirror or DirectoryMirror()
        with self._opened(loaded) as (_, sync):
            with sync.alone():
                looked = sync.look(at, mirror.read if mirror is not None else None)
                taken = sync.take(looked, at)
            counts = sync.counts()
        self._told(taken)
        return _report(looked, taken, at, counts)

    @contextmanager
    def _opened(self, loaded: Loaded, who: str = WHO) -> Iterator[tuple[Users, DirectorySync]]:
        """Open the users, in the thread: the LDAP library is loaded here, so that other servers need no memory for it."""
        from sipmesh.server.management.directory_sync import directory_sync

        users = Users(loaded.users_url, in_memory=False, seen=SeenUsers(loaded.folder))
        try:
            yield users, directory_sync(loaded, users, self._management_db, who)
        finally:
            users.close()

    def _told(self, taken: Taken) -> None:
        if taken.steps:
            counts = {str(kind): count for kind, count in taken.steps.items()}
            self._log.info("directory synced", steps=counts, revoked=taken.revoked)

    def faults(self) -> list[Fault]:
        """Return why the users here are not those of the directory."""
        report = self.report
        found = [Fault(f"the directory is not synced: {report.fault}", _remedy(report.fault))] if report.fault else []
        if report.conflicts:
            first, count = report.conflicts[0], report.more + len(report.conflicts)
            more = f", and {count - 1} more" if count > 1 else ""
            remedy = "this lists all of them: sipmesh directory status"
            found.append(Fault(f"{first.user} of the directory: {first.reason}{more}", remedy))
        return found

    def close(self) -> None:
        """End the sync that runs: the next one finishes what it has left."""
        if self._task is not None:
            self._task.cancel()
        with suppress(RuntimeError):
            self._thread.shutdown(wait=False, cancel_futures=True)


def _remedy(fault: str) -> str:
    """Return the remedy; most faults have one of their own, after a semicolon."""
    return "this shows what is wrong: sipmesh directory plan" if ";" not in fault else "then: sipmesh directory plan"


def _report(looked: Looked, taken: Taken, at: datetime, counts: DirectoryCounts) -> DirectoryReply:
    unusable = [
        DirectoryConflict(one.dn, one.reason, "correct the entry, or exclude it by `filter`")
        for one in looked.answer.unusable.values()
    ]
    found: Sequence[DirectoryConflict] = [
        *(DirectoryConflict(one.user, one.reason, one.remedy) for one in taken.conflicts),
        *unusable,
        *(DirectoryConflict(user, reason, "correct the entry") for user, reason in looked.answer.faults),
    ]
    more = max(0, len(found) - MOST_SHOWN)
    return DirectoryReply(looked.server, at, counts.users, counts.ended, found[:MOST_SHOWN], more)
