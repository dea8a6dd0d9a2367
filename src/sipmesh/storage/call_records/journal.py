"""The journal of one process: its records as JSON lines in files of a bounded size, the newest last.

A call that is answered has a line without an end, and a second line with the same id once it has ended. A new file begins with
the calls that are up. So the newest file alone says which these are.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sipmesh.pki.file_error import file_errors, make_folder
from sipmesh.storage.call_records.call_record import CallRecord
from sipmesh.storage.call_records.journal_entry import JournalEntry, keep_up, key_of, lines_of
from sipmesh.typed_json import UnreadableJsonError, read_document

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "calls"
"""The folder of the journals, in the state folder of the servers."""

FILES: Final = 32
"""Files of one journal: the oldest one is removed as a whole."""

DAY_S: Final = 86_400.0
_NAME: Final = re.compile(r"(?P<process>.+)-(?P<number>[0-9]{8})\.jsonl", re.ASCII)


def line_of(record: CallRecord) -> bytes:
    """Write a record as one line."""
    return record.entry().line


def record_in(line: bytes) -> CallRecord | None:
    """Read a line; None if it is no record."""
    try:
        return read_document(CallRecord, line)
    except UnreadableJsonError:
        return None


def journals(state: Path, server: str) -> list[Journal]:
    """Give the journals of each process of *server* in its *state* folder."""
    found = {match["process"] for match in _matches(state / FOLDER)}
    own = {name for name in found if name == server or name.startswith(f"{server}.w")}
    return [Journal(state / FOLDER, name) for name in sorted(own)]


def servers_with_journals(state: Path) -> list[str]:
    """Give the servers that have a journal in the *state* folder."""
    return sorted({re.sub(r"\.w[0-9]+$", "", match["process"]) for match in _matches(state / FOLDER)})


def _matches(folder: Path) -> Iterator[re.Match[str]]:
    with suppress(FileNotFoundError):
        for file in sorted(folder.iterdir()):
            if match := _NAME.fullmatch(file.name):
                yield match


class Journal:
    """The files of *process* in *folder*. One process writes; others may read. *clock* gives Unix time."""

    def __init__(
        self, folder: Path, process: str, most_octets: int = 256_000_000, clock: Callable[[], float] = time.time
    ) -> None:
        self.folder, self.process, self._clock = folder, process, clock
        self._most_octets = most_octets
        self._up: dict[str, JournalEntry] = {}
        self._octets = self._head = self._newest = 0
        self._began = 0.0

    def numbers(self) -> list[int]:
        """Give the numbers of the files, oldest first."""
        return [int(match["number"]) for match in _matches(self.folder) if match["process"] == self.process]

    def file(self, number: int) -> Path:
        """Name the file of a number."""
        return self.folder / f"{self.process}-{number:08d}.jsonl"

    def records(self, number: int) -> Iterator[CallRecord]:
        """Read the records of one file; a line that is no record, or that is not whole, is passed over."""
        file = self.file(number)
        with file_errors(file, doing="read"), suppress(FileNotFoundError), file.open("rb") as opened:
            for line in opened:
                if line.endswith(b"\n") and (record := record_in(line)) is not None:
                    yield record

    def everything(self) -> Iterator[CallRecord]:
        """Read all records, oldest first."""
        for number in self.numbers():
            yield from self.records(number)

    # The process that writes

    def open(self) -> Collection[CallRecord]:
        """Begin to write after the last whole line; gives the calls that are up. Raises `FileError`."""
        make_folder(self.folder)
        numbers = self.numbers()
        if not numbers:
            return ()
        self._newest = numbers[-1]
        file = self.file(self._newest)
        with file_errors(file), file.open("r+b") as opened:
            content = opened.read()
            self._octets = content.rfind(b"\n") + 1
            opened.truncate(self._octets)
        self._began = file.stat().st_mtime
        found = [record for line in content[: self._octets].splitlines() if (record := record_in(line)) is not None]
        last = {key_of(record.server, record.id): record for record in found}
        up = {key: record for key, record in last.items() if record.is_up}
        self._up = {key: record.entry() for key, record in up.items()}
        return up.values()

    def append(self, entries: Collection[JournalEntry]) -> None:
        """Write *entries*, which are on the disk then. Raises `FileError`; then none of them is in the journal."""
        if self._newest and not self._is_full() and self.file(self._newest).exists():
            self._write(self.file(self._newest), self._octets, lines_of(entries))
        else:
            self._begin_file(entries)
        keep_up(self._up, entries)

    def _begin_file(self, entries: Collection[JournalEntry]) -> None:
        make_folder(self.folder)
        numbers, head = self.numbers(), lines_of(self._up.values())
        following = (numbers[-1] if numbers else 0) + 1
        self._write(self.file(following), 0, head + lines_of(entries))
        self._newest, self._began, self._head = following, self._clock(), len(head)
        for number in numbers[: max(0, len(numbers) + 1 - FILES)]:
            self.file(number).unlink(missing_ok=True)

    def _is_full(self) -> bool:
        """Tell whether the next records begin a new file: it has its share of octets, or a day has passed."""
        share = max(self._most_octets // FILES, 2 * self._head)
        return self._octets >= share or (self._octets > 0 and self._clock() - self._began >= DAY_S)

    def _write(self, file: Path, offset: int, content: bytes) -> None:
        with file_errors(file):
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.ftruncate(descriptor, offset)
                os.lseek(descriptor, offset, os.SEEK_SET)
                try:
                    _write_all(descriptor, content)
                    os.fdatasync(descriptor)
                except OSError:
                    with suppress(OSError):
                        os.ftruncate(descriptor, offset)
                    raise
            finally:
                os.close(descriptor)
        self._octets = offset + len(content)

    # Retention and erasure

    def erase(self, names: Collection[str]) -> int:
        """Overwrite the users *names* in all lines, also while another process writes further lines; gives how many lines."""
        changed = 0
        for number in self.numbers():
            file = self.file(number)
            with file_errors(file), suppress(FileNotFoundError), file.open("r+b") as opened:
                offset = 0
                for line in opened.read().splitlines(keepends=True):
                    kept = _without(line, names)
                    if kept != line:
                        opened.seek(offset)
                        opened.write(kept)
                        changed += 1
                    offset += len(line)
                opened.flush()
                os.fsync(opened.fileno())
        return changed

    def limit_to(self, octets: int) -> None:
        """Have at most about *octets* from the next file on."""
        self._most_octets = octets

    def remove_older(self, than_s: float) -> int:
        """Remove the files whose last record is older than *than_s* seconds, but for the newest file; gives their number."""
        removed = 0
        for number in self.numbers()[:-1]:
            with suppress(FileNotFoundError):
                if self._clock() - self.file(number).stat().st_mtime > than_s:
                    self.file(number).unlink()
                    removed += 1
        return removed


def _without(content: bytes, names: Collection[str]) -> bytes:
    """Put a star in place of each octet of *names*, as JSON has them: each line keeps its length, so that readers go on."""
    return pattern_of(names).sub(lambda found: b"*" * len(found[0]), content)


def pattern_of(names: Collection[str]) -> re.Pattern[bytes]:
    """Give the pattern that finds each of *names* as a whole, in capital and small letters."""
    each = b"|".join(re.escape(json.dumps(name)[1:-1].encode()) for name in names)
    return re.compile(rb"(?<![\w.+%-])(?:" + each + rb")(?![\w-]|\.\w)", re.IGNORECASE)


def _write_all(descriptor: int, content: bytes) -> None:
    """Write everything: on a disk that becomes full, the first call writes a part, and the next one raises."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def found_in(state: Path, servers: Collection[str]) -> dict[str, CallRecord]:
    """Read the records of the journals of *servers*, the last line of each id."""
    return {
        record.id: record
        for server in servers
        for journal in journals(state, server)
        for record in journal.everything()
    }
