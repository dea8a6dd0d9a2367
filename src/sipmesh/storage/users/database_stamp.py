"""The stamp of an SQLite database: while it is the same, the database has not been written."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Final

Stamp = tuple[tuple[int, int, int], ...]
_YOUNG_NS: Final = 2_000_000_000  # far above the resolution of any file system's clock


def stamp_of(file: Path | None) -> Stamp | None:
    """Return a stamp of an SQLite database: of its file, and of its write-ahead log (WAL).

    None if there is no file, or if the last write is so recent that another write may get the same time.
    """
    if file is None:
        return None
    found = []
    for path in (file, file.with_name(f"{file.name}-wal")):
        with suppress(FileNotFoundError):
            seen = path.stat()
            found.append((seen.st_ino, seen.st_size, seen.st_mtime_ns))
    young = any(time.time_ns() - changed < _YOUNG_NS for _, _, changed in found)
    return None if young else tuple(found)
