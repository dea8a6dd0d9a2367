"""A number for each group of addresses of record that changes with their rows: memory that the servers of a host share.

A server that has read rows sees by one look into this table whether they have changed since. So each change costs the
others the rows that it is about, and no message waits for a store to learn that nothing has changed.
"""

from __future__ import annotations

import mmap
import os
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from zlib import crc32

SLOTS: Final = 65_536
"""Addresses of record that share a slot are read again for each other's changes: with 100,000 users two share one."""

ENTRY_BYTES: Final = 8
COUNTED_BITS: Final = 31


class VersionTable:
    """The table in the file *path*, made if it is not there; raises `OSError`.

    *is_new*: the file was not there, or was shorter than the table. Then the table says nothing of rows that were stored.

    Each mark is a number that was never written before: a random part for each process that opens the table, and a
    count. A mark is written after the change is committed, and before it is acknowledged: a reader that notes the
    version first and reads the rows then has rows at least as new as the version. Two processes may mark one slot at a
    time; either mark will do.
    """

    __slots__ = ("_count", "_memory", "_prefix", "is_new", "values")

    def __init__(self, path: Path) -> None:
        size = SLOTS * ENTRY_BYTES
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self.is_new = os.fstat(descriptor).st_size < size
            os.posix_fallocate(descriptor, 0, size)  # a hole that a full disk cannot fill would kill the process
            self._memory = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self.values = memoryview(self._memory).cast("Q")
        self._prefix = (secrets.randbits(30) | 1) << COUNTED_BITS
        self._count = 0

    @staticmethod
    def is_there(path: Path) -> bool:
        """Tell whether *path* has a table that was made by this class."""
        return path.is_file() and path.stat().st_size >= SLOTS * ENTRY_BYTES

    def mark(self, slots: Iterable[int]) -> int:
        """Give all of *slots* one new version, which is returned."""
        version = self.next_version()
        values = self.values
        for slot in slots:
            values[slot] = version
        return version

    def mark_all(self) -> None:
        """Give every slot a new version: what any server has read is out of date."""
        self._memory[:] = self.next_version().to_bytes(ENTRY_BYTES, sys.byteorder) * SLOTS

    def clear(self) -> None:
        """Say of every slot that no row was ever stored; under the write lock of a store without any row."""
        self._memory[:] = bytes(SLOTS * ENTRY_BYTES)

    def next_version(self) -> int:
        """Make a version that was never used before."""
        self._count += 1
        return self._prefix | self._count


def slot_of(aor: str) -> int:
    """Give the slot of an address of record: the same in every process."""
    octets = aor.encode() if aor.isascii() else aor.encode("utf-8", "backslashreplace")
    return crc32(octets) % SLOTS
