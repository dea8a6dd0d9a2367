"""The file of an SQLite database, which only its owner may read or write."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from sipmesh.errors import OperatorError, Problem

_OTHERS: Final = 0o077
_OTHERS_WRITE: Final = 0o022
BESIDE: Final = ("", "-wal", "-shm", "-journal")
"""The name endings of a database and of the files of SQLite beside it: to write to a WAL is to write to its database."""


def create_private(path: Path) -> None:
    """Create an empty file with mode 0600, unless it is there; SQLite itself would follow the umask. Raises `OSError`.

    Raises `OperatorError` if other users have any right to a file that is there. With this mode it is our own, or we run as root:
    so the owner needs no check. A right to read is taken from them instead, if the folder is closed to them: they never had it.
    Releases before 0.1.0 made such a ledger.

    A file that is there is not opened. If a process closes any descriptor of a file, it loses all its POSIX locks on the file,
    also those of SQLite. Then another process that ends takes itself for the last one, and removes the WAL under the others.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    for end in BESIDE:
        file = path.with_name(f"{path.name}{end}")
        with suppress(FileNotFoundError):
            _make_private(file, stat.S_IMODE(file.stat().st_mode))


def _make_private(file: Path, mode: int) -> None:
    if mode & _OTHERS and not mode & _OTHERS_WRITE and not file.parent.stat().st_mode & _OTHERS:
        file.chmod(mode & ~_OTHERS)
    elif mode & _OTHERS:
        what = "may have changed it" if mode & _OTHERS_WRITE else "may have read it"
        problem = Problem(
            file,
            0,
            "",
            f"has mode {mode:04o}: other users {what}",
            f"run `chmod 600 {file}`, or restore it from your backup",
        )
        raise OperatorError("a database cannot be used", (problem,))
