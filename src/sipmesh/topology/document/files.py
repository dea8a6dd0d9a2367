"""Reading a file that a document names, under a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class UnusableFileError(ValueError):
    """A file that cannot be read; the text says why, without the file's name."""


def read_file(file: Path, largest: int) -> bytes:
    """The content of *file*, or UnusableFileError."""
    try:
        with file.open("rb") as opened:
            content = opened.read(largest + 1)
    except (OSError, ValueError) as wrong:  # ValueError: a NUL in the name
        raise UnusableFileError(f"cannot be read ({getattr(wrong, 'strerror', None) or wrong})") from None
    if len(content) > largest:
        raise UnusableFileError(f"is larger than {largest} octets")
    return content
