"""A release does not start with the files of a newer one, and changes nothing of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage import state_format
from support.full_disk import small_disk


def test_files_of_this_release_and_of_older_releases_are_accepted(tmp_path: Path) -> None:
    """Files without the note are older: they get it."""
    for _ in range(2):
        state_format.take(tmp_path / "state")
        assert (tmp_path / "state/format").read_text() == f"{state_format.FORMAT}\n"


def test_files_of_a_newer_release_are_refused_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newer release takes them again, as after a way back that was given up."""
    with monkeypatch.context() as newer:
        newer.setattr(state_format, "FORMAT", state_format.FORMAT + 1)
        state_format.take(tmp_path)
    with pytest.raises(
        OperatorError, match="have format 2, and this release of sipmesh knows formats up to 1; install"
    ):
        state_format.take(tmp_path)
    assert (tmp_path / "format").read_text() == "2\n"
    monkeypatch.setattr(state_format, "FORMAT", state_format.FORMAT + 1)
    state_format.take(tmp_path)


def test_note_that_is_no_number_is_refused(tmp_path: Path) -> None:
    (tmp_path / "format").write_text("two\n")
    with pytest.raises(OperatorError, match="format has no number; remove it"):
        state_format.take(tmp_path)


def test_full_disk_keeps_no_server_from_its_start(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state") as disk:
        disk.fill()
        state_format.take(disk.folder)
