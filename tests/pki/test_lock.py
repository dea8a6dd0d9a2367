"""One process signs at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from sipmesh.pki.file_error import FileError
from sipmesh.pki.lock import ca_lock


def test_lock_keeps_others_out_while_it_is_held(tmp_path: Path) -> None:
    with ca_lock(tmp_path):
        other = os.open(tmp_path / ".lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)


def test_lock_is_free_after_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a fault"), ca_lock(tmp_path):
        raise ValueError("a fault")
    with ca_lock(tmp_path):
        pass


def test_lock_file_that_cannot_be_made_is_one_sentence_with_the_file_and_a_remedy(tmp_path: Path) -> None:
    with (
        pytest.raises(FileError, match=r"missing/\.lock cannot be written: .*; create the folder"),
        ca_lock(tmp_path / "missing"),
    ):
        raise AssertionError("the block must not run")
