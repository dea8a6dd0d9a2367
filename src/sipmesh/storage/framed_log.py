"""Records in one file that only grows: each record has a number, a length and a digest that covers all records before it.

A reader accepts the records up to the first mismatch. So a record that was cut off, changed, removed or inserted
is found, and what follows it does not count. Records that are missing at the end, as a whole, do not show in the file: the
caller has to know the last one (`sipmesh.server.replication.publication_record` does).
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sipmesh.pki import files
from sipmesh.pki.file_error import file_errors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

HEADER: Final = b"sipmesh-records-1\n"
LONGEST_FRAME: Final = 120
"""Octets of the line before a record: two numbers and a digest."""


@dataclass(frozen=True, slots=True)
class Frames:
    """What a file contains: the *records* that match, their *octets*, and how many octets after them do not match.

    *is_framed* is false for a file without our header: another program, or an earlier release, wrote it.
    """

    records: tuple[bytes, ...] = ()
    octets: int = 0
    spoiled: int = 0
    digest: str = ""
    is_framed: bool = True


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a file: how many records it has, its octets, and the digest of the last record."""

    records: int
    octets: int
    digest: str


class FramedLog:
    """The records in *file*, which only its owner can read. One process at a time may write to it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._end: _End | None = None

    def read(self) -> Frames:
        """Read the records; a missing file has none. Raises `FileError` if the file cannot be read."""
        found = Frames()
        with file_errors(self.file, doing="read"), suppress(FileNotFoundError):
            found = parse(self.file.read_bytes())
        self._end = _End(len(found.records), found.octets, found.digest) if found.octets else None
        return found

    def replace(self, records: Iterable[bytes]) -> None:
        """Replace the file by *records*, completely or not at all; raises `FileError`."""
        content, end = _framed(records, _End(0, len(HEADER), ""))
        files.write(self.file, HEADER + content, files.SECRET)
        self._end = end

    def append(self, records: Iterable[bytes]) -> None:
        """Add *records* after the last record that matches, and cut off what follows it; they are on the disk afterwards.

        Raises `FileError`. Then the file has the same records as before, if the disk allows it to be cut.
        """
        before = self._known_end()
        if before is None:
            self.replace(records)
            return
        content, end = _framed(records, before)
        with file_errors(self.file), self.file.open("r+b", buffering=0) as opened:
            try:
                opened.truncate(before.octets)
                opened.seek(before.octets)
                _write_all(opened.fileno(), content)
                os.fsync(opened.fileno())
            except OSError:
                with suppress(OSError):
                    opened.truncate(before.octets)
                raise
        self._end = end

    def _known_end(self) -> _End | None:
        """Return where the records end; the file is read only if it is new to this object, or is shorter than it was."""
        with file_errors(self.file, doing="read"):
            size = self.file.stat().st_size if self.file.exists() else 0
        if self._end is None or size < self._end.octets:
            self.read()
        return self._end

    def cut(self, found: Frames) -> None:
        """Cut off the octets of the file that *found* does not accept; raises `FileError`."""
        with file_errors(self.file), self.file.open("r+b") as opened:
            opened.truncate(found.octets)
            os.fsync(opened.fileno())


def frame(number: int, record: bytes, before: str) -> tuple[bytes, str]:
    """Return *record* with its frame, and its digest in hex; *before* is the digest of the record before it, "" for the first."""
    digest = _digest(before, number, record)
    return b"%d %d %s\n%s\n" % (number, len(record), digest.encode(), record), digest


def parse(content: bytes) -> Frames:
    """Read the records in *content*, up to the first record that does not match its frame."""
    if not content.startswith(HEADER):
        return Frames(spoiled=len(content), is_framed=False)
    records: list[bytes] = []
    at, digest = len(HEADER), ""
    while found := _next(content, at, len(records) + 1, digest):
        record, at, digest = found
        records.append(record)
    return Frames(tuple(records), at, len(content) - at, digest)


def _next(content: bytes, at: int, number: int, before: str) -> tuple[bytes, int, str] | None:
    """Return the record *number* at offset *at*, the offset of the next one, and the digest; None if it does not match."""
    ends = content.find(b"\n", at, at + LONGEST_FRAME)
    parts = content[at:ends].split(b" ") if ends >= 0 else []
    if len(parts) != 3 or not parts[1].isdigit() or parts[0] != b"%d" % number:  # noqa: PLR2004 - number, length, digest
        return None
    start, size = ends + 1, int(parts[1])
    record = content[start : start + size]
    digest = _digest(before, number, record)
    if len(record) != size or content[start + size : start + size + 1] != b"\n" or parts[2] != digest.encode():
        return None
    return record, start + size + 1, digest


def _framed(records: Iterable[bytes], end: _End) -> tuple[bytes, _End]:
    """Return *records* with their frames, to be written at *end*, and the end after them."""
    content, number, digest = bytearray(), end.records, end.digest
    for record in records:
        number += 1
        framed, digest = frame(number, record, digest)
        content += framed
    return bytes(content), _End(number, end.octets + len(content), digest)


def _digest(before: str, number: int, record: bytes) -> str:
    found = sha256(b"%s %d %d\n" % (before.encode(), number, len(record)))
    found.update(record)
    return found.hexdigest()


def _write_all(descriptor: int, content: bytes | bytearray) -> None:
    """Write everything: on a disk that becomes full, the first call writes a part, and the next one raises."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
