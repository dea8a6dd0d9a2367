"""A file that an operator names on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Final

LARGEST: Final = 64 << 20
"""Octets; a grant has the documents of a whole network."""


def read_given(file: Path, refusal: str, remedy: str) -> bytes:
    """Give the content of *file*; OperatorError with *refusal* and *remedy* unless it is a regular file of bounded size.

    A pipe or a terminal would keep the command waiting without a word.
    """
    from sipmesh.topology.document.named_files.read import read_or_refuse

    return read_or_refuse(file, LARGEST, refusal, remedy)
