"""A number that only rises survives a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.file_error import FileError
from sipmesh.server.replication.highest_number import HighestNumber

NAME, SUFFIX = "fe1.example.test", ".files"


@pytest.fixture(name="highest")
def _highest(tmp_path: Path) -> HighestNumber:
    (tmp_path / "servers").mkdir()
    return HighestNumber(tmp_path, NAME, SUFFIX)


def test_number_only_rises_and_is_stored(highest: HighestNumber, tmp_path: Path) -> None:
    for number in (0, 7, 3):
        highest.raise_to(number)
    assert (highest.value, HighestNumber(tmp_path, NAME, SUFFIX).value) == (7, 7)


def test_number_is_in_memory_until_it_can_be_stored(highest: HighestNumber, tmp_path: Path) -> None:
    highest.file.parent.rename(away := tmp_path / "away")
    with pytest.raises(FileError):
        highest.raise_to(7)
    assert highest.value == 7
    away.rename(highest.file.parent)
    highest.raise_to(7)
    assert HighestNumber(tmp_path, NAME, SUFFIX).value == 7


def test_unreadable_number_is_an_error(highest: HighestNumber) -> None:
    highest.file.write_bytes(b"many")
    with pytest.raises(OperatorError, match="sipmesh join"):
        _ = highest.value
