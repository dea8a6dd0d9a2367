"""The record beside the key: it survives a restart, and an unreadable record stops the server."""

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
    """Open the file as a server does at its start."""
    return PublicationRecordFile(folder, FE1)


def test_record_survives_a_restart(tmp_path: Path) -> None:
    assert record_file(tmp_path).read() is None
    record_file(tmp_path).write(RECORD.replacing(OLD))
    assert record_file(tmp_path).read() == RECORD.replacing(OLD)


def test_only_the_owner_can_read_the_record(tmp_path: Path) -> None:
    kept = record_file(tmp_path)
    kept.write(RECORD)
    assert stat.S_IMODE(kept.file.stat().st_mode) == 0o600
    assert kept.file == tmp_path / "servers" / f"{FE1}.held"


def test_record_matches_its_document_and_the_one_being_replaced() -> None:
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


def test_running_server_uses_the_record_that_it_has_read(tmp_path: Path) -> None:
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
