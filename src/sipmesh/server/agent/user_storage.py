"""Stores the users' documents that are in force on a managed server, also later if its disk is full.

A new password is in force at once, even if it cannot be stored. The server reports only the stored number to management, so it
does not rely on more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.distribution.items import ItemKind
from sipmesh.errors import OperatorError
from sipmesh.pki.file_error import FileError
from sipmesh.server.agent.storage_retry import MOST_OCTETS, Pace
from sipmesh.server.process.off_loop import LARGE, off_loop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from sipmesh.distribution.items import Key

STORED: Final[Key] = (ItemKind.USERS, "storage")
"""The key of the fault that users are in force and not stored."""


class UserFile(Protocol):
    """Where users' documents are stored (`replication.stored_users.StoredUsers`)."""

    def keep(self, parts: Sequence[bytes], *, whole: bool) -> None:
        """Store a document in its *parts*; raises `FileError`."""


class Faults(Protocol):
    """Where faults are reported (`agent.status_reporter.StatusReporter`)."""

    def storage_failed(self, key: Key, why: str) -> None:
        """Report a fault of the disk until `mend`."""

    def mend(self, key: Key) -> None:
        """The fault is over."""


class UserStorage:
    """Stores documents in their order in *file*; those that wait are in memory, up to ``MOST_OCTETS``."""

    def __init__(self, file: UserFile, faults: Faults, loop: asyncio.AbstractEventLoop) -> None:
        self._file, self._faults, self._loop, self._pace = file, faults, loop, Pace(loop)
        self._is_writing = False
        self._task: asyncio.Task[None] | None = None
        self._waiting: list[tuple[Sequence[bytes], bool]] = []

    def must_have_room(self) -> None:
        """Raise `OperatorError` if so much waits for the disk that no further change can be accepted."""
        if self._octets > MOST_OCTETS:
            raise OperatorError(
                f"rejected: more than {MOST_OCTETS >> 20} MB of users wait to be stored; make room on the disk of this server"
            )

    def store(self, parts: Sequence[bytes], *, whole: bool) -> None:
        """Store a document that is in force: now, or when the disk has room."""
        self._add(parts, whole=whole)
        if not self._is_writing:
            self._attempt()

    async def store_large(self, parts: Sequence[bytes], *, whole: bool) -> None:
        """Store a document as `store` does; a thread writes it."""
        self._add(parts, whole=whole)
        if not self._is_writing:
            await self._attempt_in_thread()

    def tick(self) -> None:
        """Try again if the pause after the last failure is over."""
        if not self._waiting or not self._pace.is_due or self._is_writing:
            return
        if self._octets >= LARGE:
            self._is_writing = True
            self._task = self._loop.create_task(self._attempt_in_thread())
        else:
            self._attempt()

    @property
    def _octets(self) -> int:
        return sum(len(part) for parts, _ in self._waiting for part in parts)

    def _add(self, parts: Sequence[bytes], *, whole: bool) -> None:
        if whole:
            self._waiting.clear()
        self._waiting.append((parts, whole))

    def _attempt(self) -> None:
        try:
            while self._waiting:
                parts, whole = self._waiting[0]
                self._file.keep(parts, whole=whole)
                del self._waiting[0]
        except FileError as wrong:
            self._failed(wrong)
        else:
            self._succeeded()

    async def _attempt_in_thread(self) -> None:
        self._is_writing = True
        try:
            while self._waiting:
                first = self._waiting[0]
                await off_loop(self._keep, *first)
                if self._waiting and self._waiting[0] is first:  # unless all users came meanwhile
                    del self._waiting[0]
        except FileError as wrong:
            self._failed(wrong)
        else:
            self._succeeded()
        finally:
            self._is_writing = False

    def _keep(self, parts: Sequence[bytes], whole: bool) -> None:  # noqa: FBT001 - arguments of a thread have no names
        self._file.keep(parts, whole=whole)

    def _failed(self, wrong: FileError) -> None:
        self._pace.failed()
        self._faults.storage_failed(STORED, f"users are in force, but not stored: {wrong}")

    def _succeeded(self) -> None:
        self._pace.succeeded()
        self._faults.mend(STORED)
