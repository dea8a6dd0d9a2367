"""Disks without room: a limit for the size of each file, and a small file system of its own."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

REFUSES_MOUNT = "no right to mount a file system"


@contextmanager
def limited_to(octets: int) -> Iterator[None]:
    """Let no file of this process grow beyond *octets*: a write beyond that raises OSError (EFBIG), after a part was written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class SmallDisk:
    """A file system of a few hundred KiB at *folder*, which a test fills and empties."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def __repr__(self) -> str:
        return f"<SmallDisk {self.folder}>"

    def fill(self) -> None:
        """Take all room that is left."""
        with suppress(OSError), self._filler.open("ab", buffering=0) as filler:
            while filler.write(b"x" * 4096):
                pass

    def empty(self) -> None:
        """Give the room back."""
        self._filler.unlink()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let no program change anything in *folder*, root neither."""
    _mount("--bind", str(folder), str(folder))
    try:
        _mount("-o", "remount,ro,bind", str(folder))
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=True)


def _mount(*arguments: str) -> None:
    """Mount; a test is skipped without the right to do so, but not in CI."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = f"{REFUSES_MOUNT}: {done.stderr.strip()}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@contextmanager
def small_disk(folder: Path, octets: int = 1 << 20) -> Iterator[SmallDisk]:
    """Mount a file system of *octets* at the new *folder*."""
    folder.mkdir(parents=True)
    _mount("-t", "tmpfs", "-o", f"size={octets},nr_inodes=1000", "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=True)
