"""Sees that a file has changed, so that a new topology or list is read without being asked for.

What is seen here counts; when to look is told by `sipmesh.server.refresh.inotify`, and by the clock where no one tells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

Stamp = tuple[int, int, int] | None


def stamp(path: Path) -> Stamp:
    """What identifies one state of a file: inode, size and time of change; None while there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


class WatchedFiles:
    """A set of files, and how they looked last."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._seen = {path: stamp(path) for path in files}
        self._restless: dict[Path, Stamp] = {}

    def __repr__(self) -> str:
        return f"<WatchedFiles {len(self._seen)} files>"

    def restart(self, files: Iterable[Path]) -> None:
        """Watch *files* from now on, as they look now."""
        self._seen = {path: stamp(path) for path in files}

    def follow(self, files: Iterable[Path]) -> list[Path]:
        """Watch *files* from now on: those that were watched before as they looked then, since they may have changed since.

        Returns the others: who has read them did so before they were watched.
        """
        before, self._seen = self._seen, {}
        for path in files:
            self._seen[path] = before[path] if path in before else stamp(path)
        return [path for path in self._seen if path not in before]

    def changed(self, among: Collection[Path] | None = None) -> list[Path]:
        """The files, or those *among* them, that look different from the last time they were asked about."""
        found = []
        for path in [*self._seen] if among is None else self._seen.keys() & among:
            now = stamp(path)
            if now != self._seen[path]:
                self._seen[path] = now
                found.append(path)
        return found

    def settled(self) -> list[Path]:
        """The same, of files that have looked like this before: one that is still being written is not read half."""
        found = []
        restless: dict[Path, Stamp] = {}
        for path, before in self._seen.items():
            now = stamp(path)
            if now == before:
                continue
            if path in self._restless and self._restless[path] == now:
                self._seen[path] = now
                found.append(path)
            else:
                restless[path] = now
        self._restless = restless
        return found
