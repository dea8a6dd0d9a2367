"""The record beside the key: what it was, and nothing that can be guessed where it cannot be read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.replication.publication_record import PublicationRecord, PublicationRecordFile, digest

FE1 = "fe1.example.test"
OLD, NEW, ANCHORS = b"version 1", b"version 2", b"anchors"
RECORD = PublicationRecord(2, digest(NEW), digest(ANCHORS), users=7)


def record_file(folder: Path) -> PublicationRecordFile:
    """The file as a server opens it at its start."""
    return PublicationRecordFile(folder, FE1)


def test_record_is_there_after_a_restart(tmp_path: Path) -> None:
    assert record_file(tmp_path).read() is None
    record_file(tmp_path).write(RECORD.replacing(OLD))
    assert record_file(tmp_path).read() == RECORD.replacing(OLD)


def test_record_is_for_its_owner_alone(tmp_path: Path) -> None:
    kept = record_file(tmp_path)
    kept.write(RECORD)
    assert stat.S_IMODE(kept.file.stat().st_mode) == 0o600
    assert kept.file == tmp_path / "servers" / f"{FE1}.held"


def test_document_is_that_of_the_record_or_the_one_that_is_being_replaced() -> None:
    assert RECORD.has_topology(NEW)
    assert not RECORD.has_topology(OLD)
    assert RECORD.replacing(OLD, ANCHORS).has_topology(OLD)
    assert RECORD.has_anchors(ANCHORS)
    assert not RECORD.has_anchors(b"other anchors")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"number": "x"}', b"\xff"])
def test_record_that_cannot_be_read_stops_the_server(tmp_path: Path, content: bytes) -> None:
    kept = record_file(tmp_path)
    kept.write(RECORD)
    kept.file.write_bytes(content)
    with pytest.raises(OperatorError, match="sipmesh join"):
        record_file(tmp_path).read()


def test_server_that_runs_goes_by_what_it_has_read(tmp_path: Path) -> None:
    kept = record_file(tmp_path)
    kept.write(RECORD)
    kept.file.unlink()
    assert kept.read() == RECORD


def test_record_that_an_operator_replaces_is_forgotten(tmp_path: Path) -> None:
    kept = record_file(tmp_path)
    kept.write(RECORD)
    kept.forget()
    kept.forget()
    assert (kept.read(), kept.file.exists()) == (None, False)
