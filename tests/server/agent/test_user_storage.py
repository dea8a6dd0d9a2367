"""Users that are in force are stored in their order, also if the disk has room only later."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from sipmesh.distribution.items import Key
from sipmesh.errors import OperatorError
from sipmesh.pki.file_error import FileError
from sipmesh.server.agent.storage_retry import LONGEST_PAUSE_S, MOST_OCTETS, Pace
from sipmesh.server.agent.user_storage import STORED, UserStorage
from sipmesh.server.process.off_loop import LARGE
from support.running import on_jumping_loop, on_loop, until


class Disk:
    """Keeps documents while it has room, and the faults that are reported."""

    def __init__(self) -> None:
        self.is_full = False
        self.on_loop: list[Sequence[bytes]] = []  # large documents that were written by the loop itself
        self.kept: list[tuple[Sequence[bytes], bool]] = []
        self.faults: dict[Key, str] = {}
        self.storage = UserStorage(self, self, asyncio.get_running_loop())

    def keep(self, parts: Sequence[bytes], *, whole: bool) -> None:
        """Store a document."""
        if self.is_full:
            raise FileError(Path("state/fe1.users"), OSError(errno.ENOSPC, "No space left on device"))
        if len(parts[0]) >= LARGE and threading.current_thread() is threading.main_thread():
            self.on_loop.append(parts)
        self.kept.append((parts, whole))

    def storage_failed(self, key: Key, why: str) -> None:
        """Note a fault."""
        self.faults[key] = why

    def mend(self, key: Key) -> None:
        """Remove a fault."""
        self.faults.pop(key, None)


@on_jumping_loop
async def test_changes_are_stored_in_order_when_there_is_room() -> None:
    disk = Disk()
    disk.storage.store([b"all"], whole=True)
    disk.is_full = True
    for change in (b"one", b"two"):
        disk.storage.store([change], whole=False)
    assert disk.faults[STORED].startswith(
        "users are in force, but not stored: state/fe1.users cannot be written: No space"
    )
    disk.storage.tick()
    disk.is_full = False
    await asyncio.sleep(LONGEST_PAUSE_S)
    disk.storage.tick()
    assert disk.kept == [([b"all"], True), ([b"one"], False), ([b"two"], False)]
    assert disk.faults == {}


@on_jumping_loop
async def test_all_users_make_waiting_changes_obsolete() -> None:
    disk = Disk()
    disk.is_full = True
    disk.storage.store([b"one"], whole=False)
    disk.is_full = False
    disk.storage.store([b"all"], whole=True)
    assert disk.kept == [([b"all"], True)]


@on_jumping_loop
async def test_changes_are_refused_when_too_much_waits() -> None:
    disk = Disk()
    disk.is_full = True
    disk.storage.store([bytes(MOST_OCTETS)], whole=False)
    disk.storage.must_have_room()
    disk.storage.store([b"1"], whole=False)
    with pytest.raises(OperatorError, match="make room on the disk of this server"):
        disk.storage.must_have_room()


@on_loop
async def test_large_documents_are_stored_by_a_thread_in_their_order() -> None:
    """Also those that come while the thread writes, and after a failure."""
    disk, large = Disk(), bytes(LARGE)
    disk.is_full = True
    await disk.storage.store_large([large], whole=True)
    assert STORED in disk.faults
    disk.is_full, disk.storage._pace = False, Pace(asyncio.get_running_loop())
    disk.storage.tick()
    disk.storage.store([b"one"], whole=False)
    await disk.storage.store_large([b"two"], whole=False)
    await until(lambda: len(disk.kept) == 3)
    assert disk.kept == [([large], True), ([b"one"], False), ([b"two"], False)]
    assert (disk.faults, disk.on_loop) == ({}, [])
