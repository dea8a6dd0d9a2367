"""Each change of a file is noticed once, however it is made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sipmesh.server.process.file_stamps import WatchedFiles, stamp


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    file = tmp_path / "topology.yaml"
    file.write_text("before")
    return file


def _in_place(file: Path) -> None:
    file.write_text("afterwards")


def _renamed_over(file: Path) -> None:
    """Replace it as careful editors do: the same size and, with a coarse clock, the same time."""
    found = file.stat()
    draft = file.with_suffix(".new")
    draft.write_text("AFTER!")
    os.utime(draft, ns=(found.st_atime_ns, found.st_mtime_ns))
    draft.replace(file)


def _removed(file: Path) -> None:
    file.unlink()


def _touched(file: Path) -> None:
    """Change it with the same size and the same inode."""
    file.write_text("AFTER!")
    os.utime(file, ns=(0, 1))


@pytest.mark.parametrize("change", [_in_place, _renamed_over, _removed, _touched])
def test_change_is_noticed_once(file: Path, change: Callable[[Path], None]) -> None:
    watched = WatchedFiles([file])
    assert watched.changed() == []
    change(file)
    assert watched.changed() == [file]
    assert watched.changed() == []


def test_new_file_is_noticed(tmp_path: Path) -> None:
    """A CRL that the topology names, and that its operator writes later."""
    missing = tmp_path / "root.crl"
    watched = WatchedFiles([missing])
    assert stamp(missing) is None
    assert watched.changed() == []
    missing.write_bytes(b"list")
    assert watched.changed() == [missing]


def test_only_the_files_that_changed_are_named(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("stays")
    watched = WatchedFiles([file, other])
    _in_place(file)
    assert watched.changed() == [file]


def test_restart_forgets_earlier_files_and_changes(file: Path, tmp_path: Path) -> None:
    """A file that was just read is not read again for the same change."""
    other = tmp_path / "other"
    other.write_text("one")
    watched = WatchedFiles([file])
    _in_place(file)
    other.write_text("two, and longer")
    watched.restart([other])
    assert watched.changed() == []
    _removed(file)
    assert watched.changed() == []
    _removed(other)
    assert watched.changed() == [other]


def test_file_is_named_only_when_two_checks_are_equal(file: Path) -> None:
    """A timer does not know whether the writer has finished; a half-written file is a broken file."""
    watched = WatchedFiles([file])
    file.write_text("half")
    assert watched.settled() == []
    file.write_text("half and the rest")
    assert watched.settled() == []
    assert watched.settled() == [file]
    assert watched.settled() == []


def test_file_that_is_missing_for_a_moment_is_named_only_when_it_is_back(file: Path) -> None:
    watched = WatchedFiles([file])
    file.unlink()
    assert watched.settled() == []
    file.write_text("the next one")
    assert watched.settled() == []
    assert watched.settled() == [file]


def test_file_named_by_one_check_is_not_named_by_the_other(file: Path) -> None:
    watched = WatchedFiles([file])
    _in_place(file)
    assert watched.settled() == []
    assert watched.changed() == [file]
    assert watched.settled() == []


def test_only_the_given_files_are_compared(file: Path, tmp_path: Path) -> None:
    """One CRL being complete says nothing about the next, which may be half written."""
    other = tmp_path / "other"
    other.write_text("one")
    watched = WatchedFiles([file, other])
    _in_place(file)
    other.write_text("two, and longer")
    assert watched.changed({file, tmp_path / "nobody's"}) == [file]
    assert watched.changed() == [other]


def test_change_between_reading_and_following_is_not_lost(file: Path, tmp_path: Path) -> None:
    """The files of the new topology are known only after it was read; a file may have changed again by then."""
    new = tmp_path / "new"
    new.write_text("read just now")
    watched = WatchedFiles([file])
    _in_place(file)
    assert watched.follow([file, new]) == [new]
    assert watched.changed() == [file]
    assert watched.follow([new]) == []
    _removed(file)
    assert watched.changed() == []
