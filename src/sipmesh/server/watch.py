"""Notices that a file has changed, so that a new topology or list is read without being asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[int, int, int] | None


def stamp(path: Path) -> Stamp:
    """What identifies one state of a file: inode, size and time of change; None while there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


class Watched:
    """A set of files, and how they looked last."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._seen = {path: stamp(path) for path in files}

    def __repr__(self) -> str:
        return f"<Watched {len(self._seen)} files>"

    def take(self, files: Iterable[Path]) -> None:
        """Watch *files* from now on, as they look now."""
        self._seen = {path: stamp(path) for path in files}

    def changed(self) -> list[Path]:
        """The files that look different from the last time they were asked about."""
        found = []
        for path, before in self._seen.items():
            now = stamp(path)
            if now != before:
                self._seen[path] = now
                found.append(path)
        return found
