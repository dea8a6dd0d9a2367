"""Rows of our own flows that another server has replaced in the store.

Such a row counts again if the row in its place is gone, and no REGISTER has removed that one. Then the device has not
put it there: another client has written an old row into the store.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.routing.registrar.binding import Binding, BindingKey
    from sipmesh.storage.location_service.locations import StoredRows


class DisplacedRows:
    """The rows by their address of record. A user has one for each key at most, so that flows bound them all."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        self._of: dict[str, list[Binding]] = {}

    def __contains__(self, aor: object) -> bool:
        return aor in self._of

    def add(self, row: Binding) -> None:
        """Put *row* aside, in place of an earlier one with its key."""
        self.discard(row.aor, {row.key})
        self._of.setdefault(row.aor, []).append(row)

    def discard(self, aor: str, keys: Collection[BindingKey]) -> None:
        """Forget the rows of *aor* with *keys*."""
        if aor in self._of:
            self._leave(aor, [row for row in self._of[aor] if row.key not in keys])

    def close_flow(self, aor: str, flow: int) -> None:
        """Forget the rows of *aor* on a flow that has closed."""
        if aor in self._of:
            self._leave(aor, [row for row in self._of[aor] if row.flow != flow])

    def come_back(self, aor: str, stored: StoredRows, rows: Sequence[Binding], now: float) -> list[Binding]:
        """Give the rows of *aor* that count again, since nothing of *rows* has their key, and forget those that have ended."""
        if aor not in self._of:
            return []
        live = [row for row in self._of[aor] if row.expires_at > now and row.key.name not in (stored.removed or ())]
        taken = {row.key for row in rows}
        self._leave(aor, [row for row in live if row.key in taken])
        return [row for row in live if row.key not in taken]

    def _leave(self, aor: str, rows: list[Binding]) -> None:
        if rows:
            self._of[aor] = rows
        else:
            del self._of[aor]
