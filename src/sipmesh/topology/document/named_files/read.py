"""Read a file that a document names, up to a maximum size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError, Problem
from sipmesh.regular_file import open_regular

if TYPE_CHECKING:
    from pathlib import Path


class UnusableFileError(ValueError):
    """A file cannot be read. The text says why, without the name of the file."""


def read_file(file: Path, largest: int) -> bytes:
    """Give the content of *file*; UnusableFileError if it cannot be read, or has more than *largest* octets."""
    try:
        with open_regular(file) as opened:
            content = opened.read(largest + 1)
    except (OSError, ValueError) as wrong:  # ValueError: a NUL in the name
        raise UnusableFileError(f"cannot be read ({getattr(wrong, 'strerror', None) or wrong})") from None
    if len(content) > largest:
        raise UnusableFileError(f"is larger than {largest} octets")
    return content


def read_or_refuse(file: Path, most: int, refusal: str, remedy: str) -> bytes:
    """Give the content of a file of *most* octets at most; OperatorError with *refusal* and *remedy* if it is unusable."""
    try:
        return read_file(file, most)
    except UnusableFileError as wrong:
        raise OperatorError(refusal, (Problem(file, 0, "", str(wrong), remedy),)) from None
