"""The versions of rows: shared by the processes of a host, and never the same twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sipmesh.storage.location_service.version_table import ENTRY_BYTES, SLOTS, VersionTable, slot_of


def test_mark_is_seen_by_who_has_opened_the_same_file(tmp_path: Path) -> None:
    here, there = VersionTable(tmp_path / "v"), VersionTable(tmp_path / "v")
    version = here.mark([3, SLOTS - 1])
    assert (there.values[3], there.values[SLOTS - 1], there.values[4]) == (version, version, 0)


def test_no_two_marks_are_alike(tmp_path: Path) -> None:
    """Neither of one process nor of two: else a reader could take rows for new that have changed in between."""
    tables = [VersionTable(tmp_path / "v") for _ in range(3)]
    marks = [table.mark([0]) for _ in range(100) for table in tables]
    assert len(set(marks)) == 300
    assert 0 not in marks
    assert max(marks) < 1 << 61, "fits into what compiled code holds without an object"


def test_table_can_be_cleared_and_marked_as_a_whole(tmp_path: Path) -> None:
    table = VersionTable(tmp_path / "v")
    before = table.mark([7])
    table.mark_all()
    assert len(set(table.values)) == 1
    assert table.values[7] not in {0, before}
    table.clear()
    assert set(table.values) == {0}


def test_file_takes_its_room_when_it_is_made(tmp_path: Path) -> None:
    """A hole that a full disk cannot fill would end the process at a write into memory."""
    VersionTable(tmp_path / "v")
    found = (tmp_path / "v").stat()
    assert found.st_size == SLOTS * ENTRY_BYTES
    assert found.st_blocks * 512 >= found.st_size
    assert found.st_mode & 0o777 == 0o600


def test_table_that_cannot_be_made_leaves_no_descriptor_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        VersionTable(tmp_path / "v")
    descriptors = [entry.resolve() for entry in Path("/proc/self/fd").iterdir()]
    assert (tmp_path / "v").resolve() not in descriptors


def test_slot_is_the_same_in_every_process() -> None:
    """The hash is not the salted hash of Python, which differs in each process."""
    assert slot_of("sip:alice@example.test") == 11_578
    assert slot_of(b"sip:\xff@x".decode("utf-8", "surrogateescape")) == slot_of("sip:\\udcff@x")
