"""Hears from the kernel that a file was replaced, so that what it says is in force at once and not at the next look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inotify_simple import INotify, flags

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from sipmesh.server.log import Log

HEARD = flags.CLOSE_WRITE | flags.MOVED_TO | flags.ONLYDIR
"""What puts a file in place: the end of writing, and a name moved over another.

Neither the first of it, since what is half written would be read as a broken list, nor a name that goes: who takes a list away
to bring the next one would have all links closed in between. The clock finds out about both.
"""


class FileEvents:
    """Calls *look* with those of the watched files that were put in place just now.

    Folders are watched, since files are replaced by renaming. The kernel tells nothing of what another machine does to a
    network file system, and may refuse to tell anything: whoever needs to know looks at times all the same.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, look: Callable[[Collection[Path]], object], log: Log) -> None:
        self._loop, self._look, self._log = loop, look, log
        self._folders: dict[Path, int] = {}
        self._files: dict[tuple[int, str], set[Path]] = {}
        self._deaf: set[Path] = set()
        self._kernel: INotify | None = None
        try:
            self._kernel = INotify(nonblocking=True)
        except OSError as wrong:
            log.warning("inotify does not work: files are checked at intervals only", why=str(wrong))
        else:
            loop.add_reader(self._kernel.fileno(), self._heard)

    def __repr__(self) -> str:
        return f"<FileEvents of {len(self._folders)} folders>"

    def watch(self, files: Iterable[Path]) -> None:
        """Hear of *files* from now on, and of no others; of a symbolic link's target as well."""
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
        """Watch a folder, as it is now: one that has taken the place of another is another one."""
        try:
            number: int = kernel.add_watch(folder, HEARD)
        except OSError as wrong:
            if folder not in self._deaf:
                self._deaf.add(folder)
                self._log.warning(
                    "inotify cannot watch a folder: it is checked at intervals only", folder=str(folder), why=str(wrong)
                )
            return None
        self._deaf.discard(folder)
        return number

    def _drop(self, kernel: INotify, number: int) -> None:
        try:
            kernel.rm_watch(number)
        except OSError:  # the folder is gone, and the watch with it
            return

    def _heard(self) -> None:
        """Read all that the kernel has to say, and look once for all of it; the CA writes its ledger beside its lists."""
        if self._kernel is None:
            return
        files: set[Path] = set()
        for event in self._kernel.read(timeout=0):
            if event.mask & flags.Q_OVERFLOW:  # it has forgotten some
                files.update(*self._files.values())
            files |= self._files.get((event.wd, event.name), set())
        if files:
            self._look(files)

    def close(self) -> None:
        """Hear of nothing any more."""
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            self._loop.remove_reader(kernel.fileno())
            kernel.close()
