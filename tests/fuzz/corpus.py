"""The inputs that fuzzing starts from: the seeds of a target, its crashers, and what earlier runs have found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha1
from pathlib import Path
from typing import Final

from fuzz.target import Target

FOUND: Final = Path(__file__).parents[2] / "build" / "fuzz"
"""Inputs that reach more code than the seeds, in one folder for each target; they are kept between runs."""
LARGEST: Final = 16_384
"""Octets of an input: more would make each one slow, and reach no other code."""


def file_name(data: bytes) -> str:
    """Give the name of the file of one input."""
    return sha1(data, usedforsecurity=False).hexdigest()


def save(data: bytes, folder: Path) -> Path:
    """Write one input into a folder, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / file_name(data)
    place.write_bytes(data)
    return place


def save_seeds(target: Target, folder: Path) -> Path:
    """Write the seeds of a target into a folder."""
    for seed in target.seeds:
        save(seed, folder)
    return folder


def inputs_in(folders: Iterable[Path]) -> Iterator[bytes]:
    """Give the content of all files in *folders* and the folders in them, without those above `LARGEST`."""
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.stat().st_size <= LARGEST:
                yield file.read_bytes()
