"""Learns from the kernel that a file was replaced, so that its content is in force at once, not at the next check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inotify_simple import INotify, flags

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from sipmesh.server.log import Log

HEARD = flags.CLOSE_WRITE | flags.MOVED_TO | flags.ONLYDIR
"""The events that put a file in place: the end of writing, and a renaming over another file.

The start of writing is not watched, because a half-written CRL cannot be read. Removing a file is not watched either: an operator
may remove a CRL before the next one arrives, and all links would close in between. The timer notices both.
"""


class FileEvents:
    """Calls *look* with those of the watched files that were just put in place.

    Folders are watched, since files are replaced by renaming. The kernel reports no changes by another machine on a network
    file system, and may refuse to watch a folder. So callers must also check their files at intervals.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, look: Callable[[Collection[Path]], object], log: Log) -> None:
        self._loop, self._look, self._log = loop, look, log
        self._folders: dict[Path, int] = {}
        self._files: dict[tuple[int, str], set[Path]] = {}
        self._unwatchable: set[Path] = set()
        self._kernel: INotify | None = None
        try:
            self._kernel = INotify(nonblocking=True)
        except OSError as wrong:
            log.warning("inotify does not work: files are checked at intervals only", why=str(wrong))
        else:
            loop.add_reader(self._kernel.fileno(), self._read_events)

    def watch(self, files: Iterable[Path]) -> None:
        """Watch *files* from now on, and no others; the target of a symbolic link is watched too."""
        if self._kernel is None:
            return
        places = [(place, file) for file in files for place in (file, file.resolve())]
        watched: dict[Path, int] = {}
        for folder in {place.parent for place, _ in places}:
            number = self._add(self._kernel, folder)
            if number is not None:
                watched[folder] = number
        self._files = {}
        for place, file in places:
            if place.parent in watched:
                self._files.setdefault((watched[place.parent], place.name), set()).add(file)
        for number in set(self._folders.values()) - set(watched.values()):
            self._drop(self._kernel, number)
        self._folders = watched

    def _add(self, kernel: INotify, folder: Path) -> int | None:
        """Watch *folder* as it is now: a new folder with the same name has another watch number."""
        try:
            number: int = kernel.add_watch(folder, HEARD)
        except OSError as wrong:
            if folder not in self._unwatchable:
                self._unwatchable.add(folder)
                self._log.warning(
                    "inotify cannot watch a folder: it is checked at intervals only", folder=str(folder), why=str(wrong)
                )
            return None
        self._unwatchable.discard(folder)
        return number

    def _drop(self, kernel: INotify, number: int) -> None:
        try:
            kernel.rm_watch(number)
        except OSError:  # the folder was removed, and its watch with it
            return

    def _read_events(self) -> None:
        """Read all events, then call *look* once for all files; the CA also writes its ledger beside its CRLs."""
        if self._kernel is None:
            return
        files: set[Path] = set()
        for event in self._kernel.read(timeout=0):
            if event.mask & flags.Q_OVERFLOW:  # the kernel has dropped events
                files.update(*self._files.values())
            files |= self._files.get((event.wd, event.name), set())
        if files:
            self._look(files)

    def close(self) -> None:
        """Stop watching."""
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            self._loop.remove_reader(kernel.fileno())
            kernel.close()
