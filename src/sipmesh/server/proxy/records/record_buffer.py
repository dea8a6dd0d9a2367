"""The records that wait to be written, a bounded number: those above it are counted and lost."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipmesh.storage.call_records.journal_entry import JournalEntry

MOST_WAITING: Final = 20_000
"""Records that wait while the disk is full or slow: about 20 MB, and a minute of 300 calls a second."""


class RecordBuffer:
    """Records in the order in which they were made. *left_out* counts those above *most*.

    A call that has ended takes the place of the same call while it was up: only its last line is written.
    """

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._waiting: dict[str, JournalEntry] = {}
        self.left_out = 0
        self.made = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def has_room(self, count: int) -> bool:
        """Tell whether *count* records fit."""
        return len(self._waiting) + count <= self._most

    def add(self, entry: JournalEntry) -> None:
        """Keep a record until it is written."""
        self.made += 1
        if len(self._waiting) >= self._most and entry.key not in self._waiting:
            self.left_out += 1
        else:
            self._waiting[entry.key] = entry

    def leave_out(self) -> None:
        """Count a record that is not kept."""
        self.made += 1
        self.left_out += 1

    def take(self) -> Collection[JournalEntry]:
        """Give all records that wait; they wait no longer."""
        taken, self._waiting = self._waiting, {}
        return taken.values()

    def put_back(self, batch: Collection[JournalEntry]) -> None:
        """Keep records again that could not be written, before those that came meanwhile; the newest are left out."""
        waiting = {entry.key: entry for entry in batch} | self._waiting
        self.left_out += max(0, len(waiting) - self._most)
        self._waiting = dict(islice(waiting.items(), self._most))
