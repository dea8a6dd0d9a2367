"""Lookups of users: what waits to be asked, and the rows that the store gives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sipmesh.storage.location_service.locations import StoredRows
from sipmesh.storage.location_service.valkey.replies import ignored, pairs_of

if TYPE_CHECKING:
    from sipmesh.storage.location_service.valkey.commands import StoreCommands, Words
    from sipmesh.storage.location_service.valkey.connection import Reply, Then
    from sipmesh.storage.location_service.valkey.rows.slot_versions import SlotVersions
    from sipmesh.storage.location_service.valkey.rows.user_rows import RowReader
    from sipmesh.storage.location_service.valkey.servers.server_watch import ServerWatch
    from sipmesh.storage.location_service.valkey.session import StoreSession

Found = Callable[[StoredRows | None], None]
"""Called with the rows of a user, None where the store cannot be read."""


class Lookups:
    """The lookups of one server; *wall* gives epoch seconds, for removals."""

    def __init__(
        self,
        session: StoreSession,
        commands: StoreCommands,
        reader: RowReader,
        versions: SlotVersions,
        servers: ServerWatch,
        wall: Callable[[], float],
    ) -> None:
        self._session, self._commands, self._reader, self._wall = session, commands, reader, wall
        self._versions, self._servers = versions, servers
        self._waiting: list[tuple[str, Found]] = []

    def add(self, aor: str, found: Found) -> None:
        """Queue a lookup of the rows of *aor*."""
        self._waiting.append((aor, found))

    def due(self) -> list[tuple[Words, Then]]:
        """Take the commands of all that wait."""
        waiting, self._waiting = self._waiting, []
        return [(self._commands.read(aor), partial(self._read, aor, found)) for aor, found in waiting]

    def give_up(self) -> None:
        """Say to all that wait that the store cannot be read."""
        waiting, self._waiting = self._waiting, []
        for _, found in waiting:
            found(None)

    def _read(self, aor: str, found: Found, reply: Reply) -> None:
        """Give the rows of one user; what no server of the pool has written is removed from the store."""
        if not isinstance(reply, list):
            found(None)
            return
        rows = self._reader.read(aor, pairs_of(reply), self._wall())
        if rows.foreign and self._servers.share_one_key:
            self._session.send([(self._commands.purge(aor, rows.foreign), ignored)])
        version, is_restored = self._versions.of(aor), self._session.is_restored
        found(StoredRows(rows.live, version, is_restored, self._servers.is_settled, rows.removed))
