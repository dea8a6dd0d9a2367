"""The disks of the servers: what is durable, what a loss of power takes back, and when a write fails.

Files are real. The content of a file is durable after its fsync, and a name after an fsync of its folder, in any order of writes:
POSIX promises only this. SQLite files keep what was committed durably (`databases`).
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


@dataclass(frozen=True, slots=True)
class Stored:
    """A file as it is durable: its content and its mode."""

    content: bytes
    mode: int

    def write(self, file: Path) -> None:
        """Make *file* this one."""
        file.unlink(missing_ok=True)
        file.write_bytes(self.content)
        file.chmod(self.mode)


@dataclass
class Disk:
    """What the processes have written and not made durable.

    *contents* has the durable content of each file that was written since, by the number of its inode. *names* has what each
    changed name stands for as long as its folder is not durable: None where there was no file. A name that was given to a file
    by a rename is *tied* to the name that the file had: both change, or none.
    """

    chance: random.Random
    crash: Callable[[Process], None]
    contents: dict[int, bytes] = field(default_factory=dict)
    names: dict[Path, Stored | None] = field(default_factory=dict)
    tied: dict[Path, Path] = field(default_factory=dict)
    operations: int = 0

    def step(self) -> Process | None:
        """Count an operation of the current process, which may die at it; return the process."""
        process = CURRENT.get()
        if process is None:
            return None
        if not process.alive:
            raise CrashedError(process.name)
        self.operations += 1
        if process.full_in is not None:
            process.full_in -= 1
            if process.full_in <= 0:
                process.full_in, process.full = None, True
        if process.crash_in is not None:
            process.crash_in -= 1
            if process.crash_in <= 0:
                self.crash(process)
                raise CrashedError(process.name)
        return process

    def opening(self, path: Any) -> Callable[[], None]:
        """A file is about to be opened to be written; what is returned is called when it is open."""
        process = self.step()
        if process is None or not isinstance(path, str | os.PathLike) or _is_database(file := Path(path)):
            return _nothing_follows
        if process.machine.full and not (file.name == ".lock" and file.exists()):  # nothing is written to it
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        before = file.read_bytes() if file.is_file() else None

        def opened() -> None:
            number = file.stat().st_ino
            if before is None:
                self.names.setdefault(file, None)
                self.contents[number] = b""
            else:
                self.contents.setdefault(number, before)

        return opened

    def synced(self, descriptor: int) -> None:
        """A file or a folder is made durable."""
        process = self.step()
        if process is None:
            return
        file = Path(f"/proc/self/fd/{descriptor}").readlink()
        if file.is_dir():
            for name in [name for name in self.names if name.parent == file]:
                del self.names[name]
                self.tied.pop(name, None)
            return
        found = os.fstat(descriptor)
        if process.machine.full:
            os.ftruncate(descriptor, int(found.st_size * self.chance.random()))
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        self.contents.pop(found.st_ino, None)

    def moving(self, source: Any, target: Any) -> None:
        """A file is about to get the name *target* in place of *source*."""
        if self.step() is None:
            return
        source, target = Path(source), Path(target)
        was = self.names.pop(source) if source in self.names else self._durable(source)
        self.tied.pop(source, None)
        self.names.setdefault(target, self._durable(target))
        self._forget_inode(target)
        if was is not None:
            self.names[source], self.tied[source] = was, target

    def linking(self, target: Any) -> None:
        """A file is about to get one more name."""
        if self.step() is not None:
            self.names.setdefault(Path(target), self._durable(Path(target)))

    def removing(self, path: Any) -> None:
        """A file is about to be removed: a dead process removes nothing, also if its handlers try."""
        process, file = CURRENT.get(), Path(path)
        if process is None or _is_database(file):
            return
        if not process.alive:
            raise CrashedError(process.name)
        if file.is_file():
            self.names.setdefault(file, self._durable(file))
            self._forget_inode(file)

    def _durable(self, file: Path) -> Stored | None:
        """Return what a file would have after a loss of power, as far as its name is durable."""
        if not file.is_file():
            return None
        found = file.stat()
        content = self.contents.get(found.st_ino)
        return Stored(file.read_bytes() if content is None else content, found.st_mode & 0o777)

    def _forget_inode(self, file: Path) -> None:
        """Forget a file whose last name goes: its number is used again."""
        if file.is_file() and file.stat().st_nlink == 1:
            self.contents.pop(file.stat().st_ino, None)

    def forget(self, folder: Path) -> None:
        """Everything below *folder* is durable: another process has written it."""
        for name in [name for name in self.names if name.is_relative_to(folder)]:
            del self.names[name]
            self.tied.pop(name, None)
        for file in folder.rglob("*"):
            if file.is_file():
                self.contents.pop(file.stat().st_ino, None)

    def lose_power(self, folder: Path) -> int:
        """Take back what is not durable below *folder*, each name by chance; returns the number of files that changed."""
        count = 0
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            before = self.contents.pop(file.stat().st_ino, None)
            if before is not None:
                count += 1
                file.write_bytes(self._torn(before, file.read_bytes()))
        changed = [name for name in self.names if name.is_relative_to(folder)]
        undone = {name for name in changed if name not in self.tied and self.chance.random() < 0.5}
        undone |= {name for name in changed if self.tied.get(name) in undone}
        for name in changed:
            before_name = self.names.pop(name)
            self.tied.pop(name, None)
            if name in undone:
                count += 1
                if before_name is None:
                    name.unlink(missing_ok=True)
                else:
                    before_name.write(name)
        return count

    def _torn(self, before: bytes, now: bytes) -> bytes:
        """Return the content of a file that was *before*, and then written without fsync."""
        if now.startswith(before):
            return now[: len(before) + int((len(now) - len(before)) * self.chance.random())]
        return self.chance.choice((before, b"", now[: int(len(now) * self.chance.random())]))


def _nothing_follows() -> None:
    """Do nothing: no process watches this file."""


def _is_database(file: Path) -> bool:
    return ".db" in file.name or ".sqlite" in file.name
