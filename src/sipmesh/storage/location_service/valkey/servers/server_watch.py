"""Follows which servers the store has, and whether a user without rows is not registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.storage.location_service.valkey.replies import pairs_of

if TYPE_CHECKING:
    from sipmesh.storage.location_service.valkey.commands import StoreCommands
    from sipmesh.storage.location_service.valkey.connection import Reply, StoreConnection
    from sipmesh.storage.location_service.valkey.rows.slot_versions import SlotVersions
    from sipmesh.storage.location_service.valkey.servers.server_table import ServerTable
    from sipmesh.storage.location_service.valkey.session import StoreSession

SERVERS_EVERY_S: Final = 0.05
"""How often the servers are read at most, while a client changes them all the time; meanwhile no server is reported as away."""

MOST_NAMED: Final = 3
OTHER_KEY: Final = "the key of the pool differs at "
COPY_KEY: Final = "copy state/{}.dialog-key of one host to all others, and restart their servers"


class ServerWatch:
    """Keeps *table* as the store has it. *key* is the print of the key with which *pool* seals its rows."""

    def __init__(
        self,
        session: StoreSession,
        commands: StoreCommands,
        table: ServerTable,
        versions: SlotVersions,
        *,
        key: str,
        pool: str,
    ) -> None:
        self._session, self._commands, self.table, self._versions = session, commands, table, versions
        self._key, self._pool = key, pool
        self._is_due, self._read_at = False, 0.0

    @property
    def share_one_key(self) -> bool:
        """Whether no server of the pool seals its rows with another key."""
        return not self.table.other_keys(self._key)

    @property
    def is_settled(self) -> bool:
        """Whether a user without a row is not registered: this server and all others have their rows in the store."""
        session = self._session
        is_known = session.ready is not None and session.is_restored and not self._is_due
        return is_known and self.table.is_complete(session.loop.time(), self._key)

    def joined(self) -> None:
        """The servers were read on the connection that is ready now: have every row read again."""
        self._is_due = False
        self._versions.mark_all()

    def use_servers(self, servers: frozenset[str]) -> None:
        """Know which servers the pool has, and read their entries."""
        self.table.use_servers(servers)
        self._versions.mark_all()
        if self._session.ready is not None:
            self.changed(self._session.ready)

    def changed(self, connection: StoreConnection) -> None:
        """Follow a change of the servers; a second change that comes too soon is followed with the next `tick`."""
        self._is_due = True
        if self._session.loop.time() >= self._read_at:
            self.read(connection)

    def tick(self, connection: StoreConnection) -> None:
        """Follow a change that has come too soon."""
        if self._is_due:
            self.read(connection)

    def read(self, connection: StoreConnection) -> None:
        """Read the servers, on *connection*."""
        self._is_due, self._read_at = False, self._session.loop.time() + SERVERS_EVERY_S
        self._versions.mark_all()
        connection.send([(self._commands.servers(), self.was_read)])

    def was_read(self, reply: Reply) -> None:
        """Take a reply to the command that reads the servers."""
        if not isinstance(reply, Exception):
            self.accept(reply)
            self._versions.mark_all()

    def accept(self, reply: Reply) -> None:
        """Replace the table, and find the servers that have another key of the pool; raises `MalformedReplyError`."""
        self.table.replace(pairs_of(reply))
        others = self.table.other_keys(self._key)
        named = ", ".join(others[:MOST_NAMED])
        self._session.health.warning = f"{OTHER_KEY}{named}; {COPY_KEY.format(self._pool)}" if others else ""
