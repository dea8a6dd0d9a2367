"""Makes the writes of one server in the store, in their order, and says what has become of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from sipmesh.storage.location_service.locations import Write, WriteResult
from sipmesh.storage.location_service.valkey.keys import plain
from sipmesh.storage.location_service.valkey.replies import ignored, pairs_of
from sipmesh.storage.location_service.valkey.write_queue import WriteQueue

if TYPE_CHECKING:
    from sipmesh.routing.registrar.binding import BindingKey
    from sipmesh.storage.location_service.valkey.commands import StoreCommands, Words
    from sipmesh.storage.location_service.valkey.connection import Reply, Then
    from sipmesh.storage.location_service.valkey.rows.slot_versions import SlotVersions
    from sipmesh.storage.location_service.valkey.rows.user_rows import RowReader
    from sipmesh.storage.location_service.valkey.servers.server_watch import ServerWatch
    from sipmesh.storage.location_service.valkey.session import StoreSession

LEAVES_NODE: Final = ("READONLY", "NOSCRIPT", "LOADING", "MASTERDOWN", "REPLACED")
"""Errors of a node that cannot be written, or has lost the scripts: another connection may reach a better one."""

Made = Sequence[tuple[Write, frozenset["BindingKey"]]]
"""Writes that the store has made, each with the rows that gave way to a newer registration."""


class StoreWriter:
    """The writes of one server. *wall* gives epoch seconds; *flush_soon* has what is `due` sent in this turn of the loop."""

    def __init__(
        self,
        session: StoreSession,
        commands: StoreCommands,
        reader: RowReader,
        versions: SlotVersions,
        servers: ServerWatch,
        wall: Callable[[], float],
        flush_soon: Callable[[], None],
    ) -> None:
        self._session, self._commands, self._reader, self._wall = session, commands, reader, wall
        self._versions, self._servers, self._flush_soon = versions, servers, flush_soon
        self.queue = WriteQueue(session.health)
        self._made: list[tuple[Write, frozenset[BindingKey]]] = []
        self._retry_at = 0.0

    def joined(self) -> None:
        """A new connection is ready: try at once; what was to be said to the store about our rows is decided again."""
        self.queue.forget_marks()
        self._retry_at = 0.0

    def due(self, enter: Callable[[], Words]) -> list[tuple[Words, Then]]:
        """Take the commands of the next batch; *enter* gives the command which says that all our rows are in the store."""
        if self.queue.in_flight or self._session.loop.time() < self._retry_at:
            return []
        commands: list[tuple[Words, Then]] = [
            (self._commands.write(write, self._wall()), partial(self._answered, write))
            for write in self.queue.next_batch()
        ]
        if self.queue.take_mark():
            commands.append((enter(), self._entered))
        return commands

    def connection_lost(self) -> None:
        """The connection has ended: what it has made so far was made, and the rest is sent again."""
        made, self._made = self._made, []
        self._confirmed(made, None)
        self.queue.send_again()

    def _answered(self, write: Write, reply: Reply, *, is_second: bool = False) -> None:
        """Follow what has become of a write; after the last one of a batch the next one is sent."""
        match reply:
            case [int(forgotten), *conflicts]:
                held = pairs_of(conflicts)
                if forgotten:
                    self._session.forgotten()
                if not is_second and self._overcomes(write, held):
                    return
                self.queue.made(write)
                self._made.append(
                    (write, frozenset(row.key for row in write.put if plain(row.key.name).encode() in held))
                )
                self._session.worked(1, batches=0 if self.queue.in_flight else 1)
            case ConnectionError():
                return
            case Exception():
                self._refused(str(reply))
        if not self.queue.in_flight:
            self._confirm()
            self._flush_soon()

    def _overcomes(self, write: Write, held: Mapping[bytes, bytes]) -> bool:
        """Make a write once more, if what does not give way to its rows was not written by a server of the pool."""
        foreign = self._reader.foreign(write.aor, held, self._wall())
        if not foreign or self._session.ready is None or not self._servers.share_one_key:
            return False
        again = (self._commands.write(write, self._wall()), partial(self._answered, write, is_second=True))
        self._session.send([(self._commands.purge(write.aor, foreign), ignored), again])
        return True

    def _confirm(self) -> None:
        """Acknowledge the writes of a batch once the store has notified all other servers.

        The store sends its replies and its news of one turn in any order, and all of them before it reads the next command.
        """
        made, self._made = self._made, []
        if made:
            self._session.send([(("PING",), partial(self._confirmed, made))])

    def _confirmed(self, made: Made, _reply: Reply) -> None:
        """Tell who asked; if the connection is lost, all rows of ours are stored again."""
        for write, lost in made:
            version = self._versions.of(write.aor)
            self.queue.end(write, WriteResult(lost, version, version))

    def _refused(self, reason: str) -> None:
        """Try again later what the store has refused; a node that cannot be written is left."""
        session = self._session
        if session.ready is not None and reason.startswith(LEAVES_NODE):
            session.abort(reason)
            return
        if self.queue.in_flight:
            self.queue.send_again()
            session.failed(reason)
            self._retry_at = session.loop.time() + session.try_again_s()

    def _entered(self, reply: Reply) -> None:
        """All our rows are in the store, unless it has refused our entry."""
        if isinstance(reply, Exception):
            self.queue.mark()
        else:
            self._session.is_restored = True
