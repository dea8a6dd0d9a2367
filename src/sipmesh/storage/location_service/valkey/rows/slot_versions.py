"""The version of each slot, in memory: it changes with every change of a user's rows in the store of which we get notice."""

from __future__ import annotations

from collections.abc import Sequence

from sipmesh.storage.location_service.version_table import SLOTS, slot_of


class SlotVersions:
    """*values* has the version of each slot; no two changes give the same one."""

    __slots__ = ("_count", "_values", "values")

    def __init__(self) -> None:
        self._count = 1
        self._values = [1] * SLOTS
        self.values: Sequence[int] = self._values

    def of(self, aor: str) -> int:
        """Give the version of the slot of *aor*."""
        return self._values[slot_of(aor)]

    def mark(self, aor: str) -> None:
        """The rows of *aor* have changed."""
        self._count += 1
        self._values[slot_of(aor)] = self._count

    def mark_all(self) -> None:
        """Have every row read again that is used."""
        self._count += 1
        self._values[:] = [self._count] * SLOTS
