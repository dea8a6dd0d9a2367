"""The file of an SQLite database, which nobody but its owner may read."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def create_private(path: Path) -> None:
    """Create an empty file with mode 0600, unless it is there; SQLite itself would follow the umask. Raises `OSError`.

    A file that is there is not opened. If a process closes any descriptor of a file, it loses all its POSIX locks on the file,
    also those of SQLite. Then another process that ends takes itself for the last one, and removes the WAL under the others.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
