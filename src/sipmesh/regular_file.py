"""Files that others may replace: a pipe or a terminal in place of one would keep the reader waiting without end."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def open_regular(file: Path) -> BinaryIO:
    """Open *file* to read it; raises `OSError` if it is not a regular file, and `ValueError` for a NUL in the name."""
    descriptor = os.open(file, _FLAGS)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file")


def read_regular(file: Path) -> bytes:
    """Give the content of *file*, under the same conditions."""
    with open_regular(file) as opened:
        return opened.read()
