"""A file of records finds each octet that was cut off, changed, removed or inserted."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from sipmesh.pki.file_error import FileError
from sipmesh.storage.framed_log import HEADER, FramedLog, Frames, frame, parse
from support.full_disk import limited_to

RECORDS = [b"first", b"", b"third\nwith two lines", bytes(range(256))]


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> FramedLog:
    log = FramedLog(tmp_path / "log")
    log.replace(RECORDS[:1])
    log.append(RECORDS[1:3])
    log.append(RECORDS[3:])
    return log


def test_records_are_read_in_their_order_by_their_owner_only(log: FramedLog) -> None:
    assert FramedLog(log.file).read().records == tuple(RECORDS)
    assert stat.S_IMODE(log.file.stat().st_mode) == 0o600


def test_missing_file_has_no_records_and_is_created(tmp_path: Path) -> None:
    log = FramedLog(tmp_path / "log")
    assert log.read() == Frames()
    log.append([b"one"])
    assert FramedLog(log.file).read().records == (b"one",)


def test_file_cut_at_any_octet_has_only_whole_records(log: FramedLog) -> None:
    content = log.file.read_bytes()
    ends = [len(HEADER)]
    digest = ""
    for number, record in enumerate(RECORDS, 1):
        framed, digest = frame(number, record, digest)
        ends.append(ends[-1] + len(framed))
    for size in range(len(content)):
        found = parse(content[:size])
        whole = sum(end <= size for end in ends) - 1
        assert list(found.records) == RECORDS[: max(whole, 0)]
        assert found.octets + found.spoiled == size


def test_record_does_not_count_after_a_changed_octet(log: FramedLog) -> None:
    content = log.file.read_bytes()
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 1
        found = parse(bytes(changed))
        assert len(found.records) < len(RECORDS)
        assert list(found.records) == RECORDS[: len(found.records)]


def test_removed_or_repeated_record_ends_the_log() -> None:
    """Each record is valid alone; the digest covers those before it."""
    first, digest = frame(1, b"one", "")
    second, after = frame(2, b"two", digest)
    third, _ = frame(3, b"three", after)
    assert parse(HEADER + first + second + third).records == (b"one", b"two", b"three")
    assert parse(HEADER + first + third).records == (b"one",)
    assert parse(HEADER + first + first).records == (b"one",)
    assert parse(HEADER + second).records == ()


def test_new_record_replaces_a_spoiled_end(log: FramedLog) -> None:
    log.file.write_bytes(log.file.read_bytes()[:-3])
    again = FramedLog(log.file)
    again.append([b"new"])
    assert FramedLog(log.file).read().records == (*RECORDS[:3], b"new")
    log.append([b"newer"])  # an object that knew a longer file reads it again
    assert FramedLog(log.file).read().records == (*RECORDS[:3], b"new", b"newer")


def test_spoiled_end_is_cut_off(log: FramedLog) -> None:
    whole = log.file.read_bytes()
    log.file.write_bytes(whole + b"half a li")
    found = log.read()
    assert (found.octets, found.spoiled) == (len(whole), 9)
    log.cut(found)
    assert log.file.read_bytes() == whole


def test_file_of_another_program_has_no_records(log: FramedLog) -> None:
    log.file.write_bytes(b"another format\n")
    assert log.read() == Frames(spoiled=15, is_framed=False)


def test_record_that_does_not_fit_on_the_disk_leaves_the_others(log: FramedLog) -> None:
    """The first octets of the record fit; they are cut off again."""
    whole = log.file.read_bytes()
    with limited_to(len(whole) + 100), pytest.raises(FileError, match="raise the limit for the size of a file") as full:
        log.append([b"x" * 1000])
    assert isinstance(full.value.__cause__, OSError)
    assert full.value.__cause__.errno == errno.EFBIG
    assert log.file.read_bytes() == whole
    log.append([b"x" * 1000])
    assert FramedLog(log.file).read().records == (*RECORDS, b"x" * 1000)


def test_unreadable_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(FileError, match="cannot be read"):
        FramedLog(tmp_path / "log").read()
