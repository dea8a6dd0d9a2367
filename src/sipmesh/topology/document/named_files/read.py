"""Read a file that a document names, up to a maximum size."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, Problem

if TYPE_CHECKING:
    from pathlib import Path


_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class UnusableFileError(ValueError):
    """A file cannot be read. The text says why, without the name of the file."""


def read_file(file: Path, largest: int) -> bytes:
    """Give the content of *file*; UnusableFileError if it cannot be read, or has more than *largest* octets."""
    try:
        content = _octets(file, largest + 1)
    except (OSError, ValueError) as wrong:  # ValueError: a NUL in the name
        raise UnusableFileError(f"cannot be read ({getattr(wrong, 'strerror', None) or wrong})") from None
    if len(content) > largest:
        raise UnusableFileError(f"is larger than {largest} octets")
    return content


def _octets(file: Path, most: int) -> bytes:
    """Read a regular file: in place of a CRL, a pipe or a terminal would keep the whole server waiting."""
    descriptor = os.open(file, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        with open(descriptor, "rb", closefd=False) as opened:
            return opened.read(most)
    finally:
        os.close(descriptor)


def read_or_refuse(file: Path, most: int, refusal: str, remedy: str) -> bytes:
    """Give the content of a file of *most* octets at most; OperatorError with *refusal* and *remedy* if it is unusable."""
    try:
        return read_file(file, most)
    except UnusableFileError as wrong:
        raise OperatorError(refusal, (Problem(file, 0, "", str(wrong), remedy),)) from None
