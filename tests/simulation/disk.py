"""The disks of the servers: what is durable, what a loss of power takes back, and when a write fails.

Files are real. A file is durable after fsync; a name is durable after fsync of its folder. SQLite files keep what was committed.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulation.processes import CURRENT, CrashedError, Process

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

WRITING = os.O_WRONLY | os.O_RDWR


@dataclass
class Disk:
    """What the processes have written and not made durable: the content before, None where there was no file."""

    chance: random.Random
    crash: Callable[[Process], None]
    unsynced: dict[Path, bytes | None] = field(default_factory=dict)
    renamed: dict[Path, bytes | None] = field(default_factory=dict)
    operations: int = 0

    def step(self) -> Process | None:
        """Count an operation of the current process, which may die at it; return the process."""
        process = CURRENT.get()
        if process is None:
            return None
        if not process.alive:
            raise CrashedError(process.name)
        self.operations += 1
        if process.crash_in is not None:
            process.crash_in -= 1
            if process.crash_in <= 0:
                self.crash(process)
                raise CrashedError(process.name)
        return process

    def opened(self, path: Any) -> None:
        """A file is opened to be written."""
        process = self.step()
        if process is None or not isinstance(path, str | os.PathLike):
            return
        file = Path(path)
        if _is_database(file):
            return
        if process.full:
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        self.unsynced.setdefault(file, _content(file))

    def synced(self, descriptor: int) -> None:
        """A file or a folder is made durable."""
        process = self.step()
        if process is None:
            return
        file = Path(f"/proc/self/fd/{descriptor}").readlink()
        if file.is_dir():
            for name in [name for name in self.renamed if name.parent == file]:
                del self.renamed[name]
            return
        if process.full:
            size = os.fstat(descriptor).st_size
            os.ftruncate(descriptor, int(size * self.chance.random()))
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        self.unsynced.pop(file, None)

    def moved(self, source: Any, target: Any) -> None:
        """A file is about to get the name of another one."""
        if self.step() is None:
            return
        self.renamed.setdefault(Path(target), _content(Path(target)))
        self.unsynced.pop(Path(source), None)

    def removed(self) -> None:
        """A file is about to be removed: a dead process removes nothing, whatever its handlers try."""
        process = CURRENT.get()
        if process is not None and not process.alive:
            raise CrashedError(process.name)

    def lose_power(self, folder: Path) -> int:
        """Take back what is not durable below *folder*, each name by chance; returns the number of files that changed."""
        count = 0
        for written, always in ((self.renamed, False), (self.unsynced, True)):
            for file in [file for file in written if file.is_relative_to(folder)]:
                before = written.pop(file)
                if always or self.chance.random() < 0.5:
                    count += 1
                    _restore(file, before, self.chance)
        return count


def _restore(file: Path, before: bytes | None, chance: random.Random) -> None:
    """Give a file the content that it had; of what was appended since, a part may be there."""
    now = _content(file)
    if before is None:
        file.unlink(missing_ok=True)
    elif now is not None and now.startswith(before):
        file.write_bytes(now[: len(before) + int((len(now) - len(before)) * chance.random())])
    else:
        file.write_bytes(before)


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _is_database(file: Path) -> bool:
    return ".db" in file.name or ".sqlite" in file.name
