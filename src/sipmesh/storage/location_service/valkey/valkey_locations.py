"""`Locations` in Valkey: one connection on the loop, which brings replies and the news of what other servers change.

The store is soft state. Each server has the rows of its own flows in memory, and stores them again whenever the store may have
lost them: after a restart, after another node has taken over, after it was emptied. Until every server has done so, the store
does not prove that a user is not registered (`server_table`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.storage.location_service.locations import StoreHealth, Write
from sipmesh.storage.location_service.valkey import scripts
from sipmesh.storage.location_service.valkey.commands import StoreCommands
from sipmesh.storage.location_service.valkey.connection import MalformedReplyError, StoreConnection
from sipmesh.storage.location_service.valkey.dial import dial
from sipmesh.storage.location_service.valkey.lookups import Lookups
from sipmesh.storage.location_service.valkey.replies import ignored, joined_of, run_id_of
from sipmesh.storage.location_service.valkey.rows.seal import Seal
from sipmesh.storage.location_service.valkey.rows.slot_versions import SlotVersions
from sipmesh.storage.location_service.valkey.rows.user_rows import RowReader
from sipmesh.storage.location_service.valkey.servers.later_process import LaterProcess
from sipmesh.storage.location_service.valkey.servers.lease_keeper import LeaseKeeper
from sipmesh.storage.location_service.valkey.servers.server_table import ServerTable, read_entry
from sipmesh.storage.location_service.valkey.servers.server_watch import ServerWatch
from sipmesh.storage.location_service.valkey.session import StoreSession
from sipmesh.storage.location_service.valkey.store_writer import StoreWriter
from sipmesh.storage.location_service.version_table import slot_of

if TYPE_CHECKING:
    from sipmesh.storage.location_service.locations import StoreEvents
    from sipmesh.storage.location_service.valkey.commands import Words
    from sipmesh.storage.location_service.valkey.connection import Reply
    from sipmesh.storage.location_service.valkey.lookups import Found
    from sipmesh.storage.location_service.valkey.settings import ValkeySettings

TICK_S: Final = 0.25


class ValkeyLocations:
    """The bindings of a pool across machines. Everything happens on the loop that runs at `begin`."""

    knows_absence = False

    def __init__(self, settings: ValkeySettings, wall: Callable[[], float] = time.time) -> None:
        """Remember where the store is; raises `OperatorError` if a file of *settings* cannot be read.

        *wall* gives epoch seconds, for removals.
        """
        settings.login()
        settings.tls()
        self._settings, self._wall = settings, wall
        self._slots = SlotVersions()
        self.versions: Sequence[int] = self._slots.values
        self.health = StoreHealth()
        self._session: StoreSession | None = None
        self._later = LaterProcess()
        self._is_flush_due = self._has_joined = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def identity(self) -> str:
        """The name of the store, "" before it was reached."""
        return self._session.identity if self._session is not None else ""

    @property
    def is_connected(self) -> bool:
        """Whether the store can be asked."""
        return self._session is not None and self._session.ready is not None

    @property
    def is_settled(self) -> bool:
        """Whether a user without a row is not registered: this server and all others have their rows in the store."""
        return self._servers.is_settled

    # Locations

    def slot(self, aor: str) -> int:
        """Give the slot of one address of record."""
        return slot_of(aor)

    def is_behind(self) -> bool:
        """Tell whether the store has sent something that was not read yet."""
        ready = self._session.ready if self._session is not None else None
        return ready is not None and ready.has_unread()

    def begin(self, server: str, incarnation: int, events: StoreEvents) -> None:
        """Start *incarnation* of *server*, and connect in the background: a server starts while its store is away."""
        settings, slots, wall = self._settings, self._slots, self._wall
        seal = Seal(settings.pool_key)
        loop, table = asyncio.get_running_loop(), ServerTable(server, settings.servers, settings.processes)
        session = StoreSession(str(settings.url), loop, self.health, events, self._give_up)
        commands, reader = (
            StoreCommands(settings, seal, server, incarnation),
            RowReader(seal, table, server, incarnation),
        )
        servers = ServerWatch(session, commands, table, slots, key=seal.print, pool=settings.pool)
        self._server, self._session, self._commands, self._servers = server, session, commands, servers
        self._lookups = Lookups(session, commands, reader, slots, servers, wall)
        self._writer = StoreWriter(session, commands, reader, slots, servers, wall, self._flush_soon)
        self._leases = LeaseKeeper(session, commands, servers, server, self._writer.queue)
        self._loop = loop
        self._task = loop.create_task(self._stay_connected(session))
        self._timer = loop.call_later(TICK_S, self._tick, session)

    def find(self, aor: str, found: Found) -> None:
        """Read the rows of one address of record; *found* gets None where the store cannot be read.

        During the first attempt to connect, lookups wait for it: a server that has just started is asked at once.
        """
        if not self.is_connected and self.health.failures:
            self._loop.call_soon(found, None)
            return
        self._lookups.add(aor, found)
        self._flush_soon()

    def write(self, write: Write) -> None:
        """Make one change; it is tried until it is made or withdrawn."""
        self._writer.queue.add(write)
        self._flush_soon()

    def use_servers(self, servers: frozenset[str]) -> None:
        """Know that the pool has *servers* from now on; a server that was added may be in the store already."""
        if servers != self._settings.servers:
            self._settings = replace(self._settings, servers=servers)
            if self._session is not None:
                self._servers.use_servers(servers)

    def restored(self) -> None:
        """Say to the store that our rows are in it, after the writes that wait."""
        self._writer.queue.mark()
        self._flush_soon()

    def close(self) -> None:
        """End our incarnation, without waiting for the store, and let go of it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        if self._session is not None and self._session.ready is not None:
            self._session.ready.send([(self._commands.end_own(), ignored)])
            self._session.ready.close()
            self._session.ready = None

    # The connection

    async def _stay_connected(self, session: StoreSession) -> None:
        """Connect, and connect again whenever the connection has ended, until `close`."""
        while True:
            reason = await self._connection(session)
            session.ready = None
            self._writer.connection_lost()
            session.failed(reason)
            await asyncio.sleep(session.try_again_s())

    async def _connection(self, session: StoreSession) -> str:
        """Use one connection until it ends; gives the reason."""
        try:
            connection = await dial(self._settings)
        except OperatorError as wrong:
            return wrong.message
        try:
            await self._join(connection, session)
            return await asyncio.shield(connection.lost)
        except (OperatorError, MalformedReplyError) as wrong:
            return str(wrong)
        finally:
            connection.abort("this server connects again")

    async def _join(self, connection: StoreConnection, session: StoreSession) -> None:
        """Begin on a new connection: load the scripts, enter ourselves, read the other servers."""
        for script in scripts.ALL:
            await connection.call("SCRIPT", "LOAD", script)
        run = self._commands.run = run_id_of(await connection.call("INFO", "server"))
        connection.told = partial(self._told_of_change, connection)
        entry, session.identity, age = joined_of(await self._entered(connection))
        known = read_entry(entry)
        self._servers.table.joined(run, age, self._loop.time())
        self._servers.accept(await connection.call(*self._commands.servers()))
        session.ready, session.is_restored = connection, known is not None and known.complete
        self._has_joined = True
        self._servers.joined()
        self._writer.joined()
        if session.is_restored:
            session.events.doubted()
        else:
            session.events.forgotten()
        session.worked()
        self._leases.joined()
        self._flush()

    async def _entered(self, connection: StoreConnection) -> Reply:
        """Enter ourselves; raises `OperatorError` while a later process of this server has our place."""
        try:
            return await connection.call(*self._entry(complete=not self._has_joined))
        except OperatorError as wrong:
            if self._later.seen(wrong.message, self._loop.time()):
                raise OperatorError(f"a later process of {self._server} has its place: stop one of the two") from wrong
            raise

    def _entry(self, *, complete: bool = True) -> Words:
        return self._commands.join(complete=complete, ended=self._later.ended(self._loop.time()))

    def _told_of_change(self, connection: StoreConnection, push: Sequence[Reply]) -> None:
        """Follow a change of another server: its user's rows, the servers, or everything."""
        match push:
            case [b"invalidate", None]:
                connection.abort("the store was emptied")
            case [b"invalidate", list(keys)]:
                for key in keys:
                    self._key_changed(connection, key)

    def _key_changed(self, connection: StoreConnection, key: Reply) -> None:
        keys = self._commands.keys
        aor = keys.aor(key) if isinstance(key, bytes) else None
        if aor is not None and self._session is not None:
            self._slots.mark(aor)
            self._session.events.changed(aor)
        elif key == keys.servers:
            self._servers.changed(connection)

    # What is sent

    def _flush_soon(self) -> None:
        """Send what comes in this turn of the loop in one piece."""
        if not self._is_flush_due and self.is_connected:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        connection = self._session.ready if self._session is not None else None
        if connection is None:
            self._give_up()
            return
        commands = self._lookups.due() + self._writer.due(self._entry)
        if commands:
            connection.send(commands)

    def _give_up(self) -> None:
        """Tell the requests that wait for rows that the store cannot be read."""
        self._lookups.give_up()

    def _tick(self, session: StoreSession) -> None:
        """Look at what is overdue, four times a second."""
        now = self._loop.time()
        self._timer = self._loop.call_later(TICK_S, self._tick, session)
        if self.health.failing_since is not None:
            self._writer.queue.withdraw()
            session.tell_failing(now)
        if session.ready is None:
            return
        if session.ready.is_late(now):
            session.abort("the store does not answer")
            return
        self._servers.tick(session.ready)
        self._leases.tick(now)
        self._flush_soon()
