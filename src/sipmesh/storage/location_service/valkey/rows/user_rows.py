"""The rows of one user as the store gives them: those of servers that live, removals, and what no server has written."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from sipmesh.storage.location_service.valkey.rows.stored_row import MOST_ROWS, StoredRow, read_removal, read_row

if TYPE_CHECKING:
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.storage.location_service.valkey.rows.seal import Seal
    from sipmesh.storage.location_service.valkey.servers.server_table import ServerTable

_preference = attrgetter("row.q", "number")


class UserRows(NamedTuple):
    """The *live* rows, the highest q first, among equals the newest; and the names of *removed* rows.

    *foreign* are names and values that no server of the pool has written.
    """

    live: tuple[Binding, ...]
    removed: frozenset[str]
    foreign: Mapping[bytes, bytes]


class RowReader:
    """Reads rows for *incarnation* of the process *server*; *table* says which other processes live."""

    __slots__ = ("_incarnation", "_seal", "_server", "_table")

    def __init__(self, seal: Seal, table: ServerTable, server: str, incarnation: int) -> None:
        self._seal, self._table, self._server, self._incarnation = seal, table, server, incarnation

    def read(self, aor: str, values: Mapping[bytes, bytes], now: float) -> UserRows:
        """Read *values* of *aor* by their names; *now* is in epoch seconds, for removals."""
        rows = {name: read_row(aor, name, value, self._seal) for name, value in values.items()}
        unread = {name: values[name] for name, row in rows.items() if row is None}
        foreign = self._not_removals(aor, unread, now)
        live = sorted((row for row in rows.values() if row and self._is_live(row)), key=_preference, reverse=True)
        removed = frozenset(name.decode("utf-8", "replace") for name in unread.keys() - foreign.keys())
        return UserRows(tuple(row.row for row in live[:MOST_ROWS]), removed, foreign)

    def foreign(self, aor: str, values: Mapping[bytes, bytes], now: float) -> Mapping[bytes, bytes]:
        """Give those of *values* that no server of the pool has written."""
        unread = {name: value for name, value in values.items() if read_row(aor, name, value, self._seal) is None}
        return self._not_removals(aor, unread, now)

    def _not_removals(self, aor: str, values: Mapping[bytes, bytes], now: float) -> dict[bytes, bytes]:
        return {name: value for name, value in values.items() if not read_removal(aor, name, value, self._seal, now)}

    def _is_live(self, stored: StoredRow) -> bool:
        row = stored.row
        if row.server == self._server:
            return row.incarnation == self._incarnation
        return self._table.is_live(row.server, row.incarnation)
