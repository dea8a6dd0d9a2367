"""Reads the journals of a server from where the last reading has ended, batch by batch, for their delivery."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.pki import files
from sipmesh.pki.file_error import file_errors
from sipmesh.storage.call_records.journal import record_in
from sipmesh.typed_json import UnreadableJsonError, read_document

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.storage.call_records.call_record import CallRecord
    from sipmesh.storage.call_records.journal import Journal

MOST_IN_BATCH: Final = 200
"""Records of one batch: it is one SIP message of at most 200 KB."""

MOST_OCTETS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a journal: before the *offset* of the file *number*."""

    number: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """The next *records*, and the place *after* them."""

    records: Sequence[CallRecord]
    after: Place


class JournalReader:
    """Reads one *journal*; where it has ended is in a file beside it. Its methods block, and raise `FileError`."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._file: Path = journal.folder / f"{journal.process}.delivered"

    def next(self) -> Batch | None:
        """Read the next batch; None if nothing is new."""
        place = self._place()
        for number in self._journal.numbers():
            if number < place.number:
                continue
            batch = self._read(number, place.offset if number == place.number else 0)
            if batch is not None:
                return batch
        return None

    def delivered(self, batch: Batch) -> None:
        """Go on after *batch* from now on."""
        content = json.dumps({"number": batch.after.number, "offset": batch.after.offset}).encode()
        files.write(self._file, content, files.SECRET)

    def _place(self) -> Place:
        with file_errors(self._file, doing="read"), suppress(FileNotFoundError, UnreadableJsonError):
            return read_document(Place, self._file.read_bytes())
        return Place()

    def _read(self, number: int, offset: int) -> Batch | None:
        """Read whole lines of one file from *offset* on; what is no record is passed over."""
        file = self._journal.file(number)
        found: list[CallRecord] = []
        read = 0
        with file_errors(file, doing="read"), suppress(FileNotFoundError), file.open("rb") as opened:
            opened.seek(offset)
            while len(found) < MOST_IN_BATCH and read < MOST_OCTETS:
                line = opened.readline(MOST_OCTETS)
                if not line.endswith(b"\n"):
                    break
                read += len(line)
                if (record := record_in(line)) is not None:
                    found.append(record)
        return Batch(found, Place(number, offset + read)) if read else None
