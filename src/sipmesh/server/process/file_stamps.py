"""Detects changed files, so that a new topology or CRL is read without a command.

A change of the stamp counts. `sipmesh.server.refresh.inotify` says when to compare; without inotify, a timer does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

Stamp = tuple[int, int, int] | None
Stamps = Mapping[Path, Stamp]
NO_STAMPS: Final[Stamps] = MappingProxyType({})


def stamp(path: Path) -> Stamp:
    """Return what identifies one state of a file: inode, octets, and time of change in ns; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


class WatchedFiles:
    """A set of files with their last known stamps."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._seen = {path: stamp(path) for path in files}
        self._unstable: dict[Path, Stamp] = {}

    def restart(self, files: Iterable[Path]) -> None:
        """Watch *files* from now on, with their present stamps."""
        self._seen = {path: stamp(path) for path in files}

    def follow(self, files: Iterable[Path]) -> list[Path]:
        """Watch *files* from now on; files that were watched before keep their old stamps, since they may have changed.

        Returns the files that were not watched before: the caller read them before they were watched, and has to check them.
        """
        before, self._seen = self._seen, {}
        for path in files:
            self._seen[path] = before[path] if path in before else stamp(path)
        return [path for path in self._seen if path not in before]

    def changed(self, among: Collection[Path] | None = None) -> list[Path]:
        """Return the files whose stamp has changed since the last call; *among* limits the files to compare."""
        found = []
        for path in [*self._seen] if among is None else self._seen.keys() & among:
            now = stamp(path)
            if now != self._seen[path]:
                self._seen[path] = now
                found.append(path)
        return found

    def settled(self) -> list[Path]:
        """Return the changed files whose stamp is the same as at the last call: a file still being written is not read."""
        found = []
        unstable: dict[Path, Stamp] = {}
        for path, before in self._seen.items():
            now = stamp(path)
            if now == before:
                continue
            if path in self._unstable and self._unstable[path] == now:
                self._seen[path] = now
                found.append(path)
            else:
                unstable[path] = now
        self._unstable = unstable
        return found
