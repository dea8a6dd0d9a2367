"""`Locations` in Valkey: one connection on the loop, which brings replies and the news of what other servers change.

The store is soft state. Each server has the rows of its own flows in memory, and stores them again whenever the store may have
lost them: after a restart, after another node has taken over, after it was emptied. Until every server has done so, the store
does not prove that a user is not registered (`server_table`).
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.printable import printable
from sipmesh.storage.location_service.lease_watch import RENEW_EVERY_S, LeaseWatch
from sipmesh.storage.location_service.locations import StoredRows, StoreHealth, Write, WriteResult
from sipmesh.storage.location_service.valkey import scripts
from sipmesh.storage.location_service.valkey.connection import MalformedReplyError, StoreConnection
from sipmesh.storage.location_service.valkey.dial import dial
from sipmesh.storage.location_service.valkey.keys import Keys, plain
from sipmesh.storage.location_service.valkey.later_process import LaterProcess
from sipmesh.storage.location_service.valkey.seal import Seal
from sipmesh.storage.location_service.valkey.server_table import ServerTable, read_entry
from sipmesh.storage.location_service.valkey.stored_row import (
    MOST_ROWS,
    StoredRow,
    read_removal,
    read_row,
    removal_of,
    value_of,
)
from sipmesh.storage.location_service.valkey.write_queue import WriteQueue
from sipmesh.storage.location_service.version_table import SLOTS, slot_of

if TYPE_CHECKING:
    from sipmesh.routing.registrar.binding import Binding, BindingKey
    from sipmesh.storage.location_service.locations import StoreEvents
    from sipmesh.storage.location_service.valkey.connection import Reply, Then
    from sipmesh.storage.location_service.valkey.settings import ValkeySettings

TICK_S: Final = 0.25
TRY_AGAIN_S: Final = (0.05, 0.25, 0.5, 1.0, 2.0)
"""How long this server waits after each failure in a row; the last one counts for all that follow."""

TOLD_AFTER_S: Final = 2.0
"""A store that fails for longer is told of; a Sentinel failover may be over by then."""

SWEPT_AT_A_TIME: Final = 200
"""Users whose dead rows are removed by one command."""

MOST_SWEEPS: Final = 50
"""Such commands between two renewals of the lease."""

MOST_FIELDS: Final = 64
"""Rows of one user in the store, with those that do not fit; more of them were not written by servers of the pool."""

MOST_OCTETS: Final = 512 << 10
"""The same in octets: more than `MOST_FIELDS` rows of the longest Contact that a REGISTER may have."""

MOST_PROCESSES: Final = 4_096
"""Entries of the servers of one pool, and leases; more of them were not written by servers of the pool."""

MOST_NAMED: Final = 3
OTHER_KEY: Final = (
    "the key of the pool differs at {}: copy state/{}.dialog-key of one host to all others, and restart their servers"
)

SERVERS_EVERY_S: Final = 0.05
"""How often the servers are read at most, while somebody changes them all the time; meanwhile nobody is said to be away."""

Words = tuple[str | float | bytes, ...]
Lookup = tuple[str, Callable[[StoredRows | None], None]]
_preference = attrgetter("row.q", "number")
_RUN_ID = re.compile(rb"run_id:([0-9a-f]{40})")


class ValkeyLocations:
    """The bindings of a pool across machines. Everything happens on the loop that runs at `begin`."""

    knows_absence = False

    def __init__(self, settings: ValkeySettings, wall: Callable[[], float] = time.time) -> None:
        """Remember where the store is; raises `OperatorError` if a file of *settings* cannot be read.

        *wall* gives epoch seconds, for removals.
        """
        settings.login()
        settings.tls()
        self._settings = settings
        self._keys, self._seal, self._wall = Keys(settings.organisation, settings.pool), Seal(settings.pool_key), wall
        self._versions = [1] * SLOTS
        self.versions: Sequence[int] = self._versions
        self._count = 1
        self.health = StoreHealth()
        self.identity = ""
        self._ready: StoreConnection | None = None
        self._queue = WriteQueue(self.health)
        self._later = LaterProcess()
        self._made: list[tuple[Write, frozenset[BindingKey]]] = []
        self._finds: list[Lookup] = []
        self._is_flush_due = self._has_joined = self._is_restored = self._told = self._are_servers_due = False
        self._retry_at = self._renew_at = self._servers_at = 0.0
        self._sweeps = 0
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<ValkeyLocations {self._settings.url}>"

    @property
    def is_connected(self) -> bool:
        """Whether the store can be asked."""
        return self._ready is not None

    @property
    def is_settled(self) -> bool:
        """Whether a user without a row is not registered: this server and all others have their rows in the store."""
        now, key = self._loop.time(), self._seal.print
        is_known = self._ready is not None and self._is_restored and not self._are_servers_due
        return is_known and self._table.is_complete(now, key)

    # Locations

    def slot(self, aor: str) -> int:
        """Give the slot of one address of record."""
        return slot_of(aor)

    def is_behind(self) -> bool:
        """Tell whether the store has sent something that was not read yet."""
        return self._ready is not None and self._ready.has_unread()

    def begin(self, server: str, incarnation: int, events: StoreEvents) -> None:
        """Start *incarnation* of *server*, and connect in the background: a server starts while its store is away."""
        self._server, self._incarnation, self._events = server, incarnation, events
        self._index = self._keys.rows_of(server)
        self._table = ServerTable(server, self._settings.servers, self._settings.processes)
        self._leases = LeaseWatch(server)
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._stay_connected())
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def find(self, aor: str, found: Callable[[StoredRows | None], None]) -> None:
        """Read the rows of one address of record; *found* gets None where the store cannot be read.

        During the first attempt to connect, lookups wait for it: a server that has just started is asked at once.
        """
        if self._ready is None and self.health.failures:
            self._loop.call_soon(found, None)
            return
        self._finds.append((aor, found))
        self._flush_soon()

    def write(self, write: Write) -> None:
        """Make one change; it is tried until it is made or withdrawn."""
        self._queue.add(write)
        self._flush_soon()

    def restored(self) -> None:
        """Say to the store that our rows are in it, after the writes that wait."""
        self._queue.mark()
        self._flush_soon()

    def close(self) -> None:
        """End our incarnation, without waiting for the store, and let go of it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        if self._ready is not None:
            self._ready.send([(self._end(self._server, self._incarnation), _ignored)])
            self._ready.close()
            self._ready = None

    # The connection

    async def _stay_connected(self) -> None:
        """Connect, and connect again whenever the connection has ended, until `close`."""
        while True:
            reason = await self._connection()
            self._confirm_lost()
            self._queue.send_again()
            self._failed(reason)
            await asyncio.sleep(TRY_AGAIN_S[min(self.health.failures, len(TRY_AGAIN_S)) - 1])

    async def _connection(self) -> str:
        """Use one connection until it ends; gives the reason."""
        try:
            connection = await dial(self._settings)
        except OperatorError as wrong:
            return wrong.message
        try:
            await self._join(connection)
            return await asyncio.shield(connection.lost)
        except (OperatorError, MalformedReplyError) as wrong:
            return str(wrong)
        finally:
            connection.abort("this server connects again")

    async def _join(self, connection: StoreConnection) -> None:
        """Begin on a new connection: load the scripts, enter ourselves, read the other servers."""
        for script in scripts.ALL:
            await connection.call("SCRIPT", "LOAD", script)
        self._run = _run_id(await connection.call("INFO", "server"))
        connection.told = partial(self._told_of_change, connection)
        entry, identity, age = _joined(await self._entered(connection))
        known = read_entry(entry)
        self.identity = identity
        self._table.joined(self._run, age, self._loop.time())
        self._take_servers(await connection.call(*self._servers()))
        self._ready, self._is_restored = connection, known is not None and known.complete
        self._are_servers_due = False
        self._mark_all()
        self._has_joined = True
        self._queue.forget_marks()
        if self._is_restored:
            self._events.doubted()
        else:
            self._events.forgotten()
        self._worked(0)
        self._renew_at = self._retry_at = 0.0
        self._flush()

    async def _entered(self, connection: StoreConnection) -> Reply:
        """Enter ourselves; raises `OperatorError` while a later process of this server has our place."""
        try:
            return await connection.call(*self._entry(complete=not self._has_joined))
        except OperatorError as wrong:
            if self._later.seen(wrong.message, self._loop.time()):
                raise OperatorError(f"a later process of {self._server} has its place: stop one of the two") from wrong
            raise

    def _entry(self, *, complete: bool) -> Words:
        keys, gone = self._keys, self._later.ended(self._loop.time())
        return (
            *("EVALSHA", _JOIN, 3, keys.servers, keys.identity, keys.leases, keys.prefix, self._server),
            *(self._incarnation, self._run, int(complete), self._print, secrets.token_hex(16), gone),
        )

    @property
    def _print(self) -> str:
        """The end of our entry: the print of our key, and the number of workers."""
        return f"{self._seal.print} {self._settings.processes}"

    def _servers(self) -> Words:
        return ("EVALSHA", _SERVERS, 1, self._keys.servers, MOST_PROCESSES)

    def _end(self, server: str, incarnation: int) -> Words:
        keys = self._keys
        return ("EVALSHA", _END, 2, keys.servers, keys.leases, keys.prefix, server, incarnation)

    # News

    def _told_of_change(self, connection: StoreConnection, push: Sequence[Reply]) -> None:
        """Follow a change of another server: its user's rows, the servers, or everything."""
        match push:
            case [b"invalidate", None]:
                connection.abort("the store was emptied")
            case [b"invalidate", list(keys)]:
                for key in keys:
                    self._key_changed(connection, key)

    def _key_changed(self, connection: StoreConnection, key: Reply) -> None:
        aor = self._keys.aor(key) if isinstance(key, bytes) else None
        if aor is not None:
            self._count += 1
            self._versions[slot_of(aor)] = self._count
            self._events.changed(aor)
        elif key == self._keys.servers:
            self._are_servers_due = True
            if self._loop.time() >= self._servers_at:
                self._read_servers(connection)

    def _read_servers(self, connection: StoreConnection) -> None:
        """Follow a change of the servers; another one that comes too soon is followed with the next tick."""
        self._are_servers_due, self._servers_at = False, self._loop.time() + SERVERS_EVERY_S
        self._mark_all()
        connection.send([(self._servers(), self._servers_read)])

    def _servers_read(self, reply: Reply) -> None:
        if not isinstance(reply, Exception):
            self._take_servers(reply)
            self._mark_all()

    def _take_servers(self, reply: Reply) -> None:
        """Follow which servers there are, and find those that have another key of the pool."""
        self._table.replace(_pairs(reply))
        others = self._table.other_keys(self._seal.print)
        named = ", ".join(others[:MOST_NAMED])
        self.health.warning = OTHER_KEY.format(named, self._settings.pool) if others else ""

    def _mark_all(self) -> None:
        """Have every row read again that is used."""
        self._count += 1
        self._versions[:] = [self._count] * SLOTS

    # Lookups and writes

    def _flush_soon(self) -> None:
        """Send what comes in this turn of the loop in one piece."""
        if not self._is_flush_due and self._ready is not None:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        connection = self._ready
        if connection is None:
            self._give_up_lookups()
            return
        finds, self._finds = self._finds, []
        commands: list[tuple[Words, Then]] = [
            (self._rows(aor), partial(self._read, aor, found)) for aor, found in finds
        ]
        if not self._queue.in_flight and self._loop.time() >= self._retry_at:
            commands += [(self._written(write), partial(self._answered, write)) for write in self._queue.next_batch()]
            if self._queue.take_mark():
                commands.append((self._entry(complete=True), self._restored))
        if commands:
            connection.send(commands)

    def _give_up_lookups(self) -> None:
        finds, self._finds = self._finds, []
        for _, found in finds:
            found(None)

    def _rows(self, aor: str) -> Words:
        return ("EVALSHA", _READ, 1, self._keys.bindings(aor), MOST_FIELDS, MOST_OCTETS)

    def _read(self, aor: str, found: Callable[[StoredRows | None], None], reply: Reply) -> None:
        """Take the rows of one user: those that fit, of servers that live; the preferred and the newest ones first."""
        if not isinstance(reply, list):
            found(None)
            return
        values = _pairs(reply)
        rows = {name: read_row(aor, name, value, self._seal) for name, value in values.items()}
        removed = {name for name, row in rows.items() if row is None and self._is_removal(aor, name, values[name])}
        self._purge(aor, {name: values[name] for name, row in rows.items() if row is None and name not in removed})
        live = sorted((row for row in rows.values() if row and self._is_live(row)), key=_preference, reverse=True)
        version, names = self._versions[slot_of(aor)], frozenset(name.decode("utf-8", "replace") for name in removed)
        kept = tuple(row.row for row in live[:MOST_ROWS])
        found(StoredRows(kept, version, self._is_restored, self.is_settled, names))

    def _is_removal(self, aor: str, name: bytes, value: bytes) -> bool:
        return read_removal(aor, name, value, self._seal, self._wall())

    def _purge(self, aor: str, values: Mapping[bytes, bytes]) -> None:
        """Remove what no server of the pool has written; nothing while a server seals with another key."""
        if values and self._ready is not None and not self._table.other_keys(self._seal.print):
            words = [part for pair in values.items() for part in pair]
            self._ready.send([(("EVALSHA", _PURGE, 1, self._keys.bindings(aor), *words), _ignored)])

    def _is_live(self, stored: StoredRow) -> bool:
        row = stored.row
        if row.server == self._server:
            return row.incarnation == self._incarnation
        return self._table.is_live(row.server, row.incarnation)

    def _written(self, write: Write) -> Words:
        """Give the command that makes a write."""
        keys, words = self._keys, list[str | float | bytes]()
        for row in write.drop:
            left = removal_of(row, self._wall(), self._seal) if write.unregisters else b""
            words += (plain(row.key.name), plain(row.token), left)
        for row in write.put:
            words += (plain(row.key.name), value_of(row, self._seal), plain(row.call_id), row.cseq, row.token)
        return (
            *("EVALSHA", _WRITE, 3, keys.servers, keys.bindings(write.aor), self._index, self._server),
            *(
                self._incarnation,
                self._run,
                self._print,
                plain(write.aor),
                int(write.restores),
                len(write.drop),
                *words,
            ),
        )

    def _answered(self, write: Write, reply: Reply, *, is_second: bool = False) -> None:
        """Follow what has become of a write; after the last one of a batch the next one is sent."""
        match reply:
            case [int(forgotten), *conflicts]:
                held = _pairs(conflicts)
                if forgotten:
                    self._forgotten()
                if not is_second and self._overcomes(write, held):
                    return
                self._queue.made(write)
                self._made.append((write, frozenset(row.key for row in write.put if _name(row) in held)))
                self._worked(1)
            case ConnectionError():
                return
            case Exception():
                self._refused(str(reply))
        if not self._queue.in_flight:
            self._confirm()
            self._flush_soon()

    def _overcomes(self, write: Write, held: Mapping[bytes, bytes]) -> bool:
        """Make a write once more, if what does not give way to its rows was not written by a server of the pool."""
        false = {
            name: value
            for name, value in held.items()
            if read_row(write.aor, name, value, self._seal) is None and not self._is_removal(write.aor, name, value)
        }
        if not false or self._ready is None or self._table.other_keys(self._seal.print):
            return False
        self._purge(write.aor, false)
        self._ready.send([(self._written(write), partial(self._answered, write, is_second=True))])
        return True

    def _confirm(self) -> None:
        """Acknowledge the writes of a batch once the store has told all other servers of them.

        The store sends its replies and its news of one turn in any order, and all of them before it reads the next command.
        """
        made, self._made = self._made, []
        if made and self._ready is not None:
            self._ready.send([(("PING",), partial(self._confirmed, made))])

    def _confirm_lost(self) -> None:
        """Leave a connection that has ended; what it has made so far was made."""
        self._ready = None
        made, self._made = self._made, []
        self._confirmed(made, None)

    def _confirmed(self, made: Sequence[tuple[Write, frozenset[BindingKey]]], _reply: Reply) -> None:
        """Tell who asked; if the connection is lost, all rows of ours are stored again."""
        for write, lost in made:
            version = self._versions[slot_of(write.aor)]
            self._queue.end(write, WriteResult(lost, version, version))

    def _forgotten(self) -> None:
        """Store our rows again: another server has ended our lease, such as after this process was stopped."""
        if self._is_restored:
            self._is_restored = False
            self._events.forgotten()

    def _refused(self, reason: str) -> None:
        """Try again later what the store has refused; a node that cannot be written or has lost the scripts is left."""
        if self._ready is not None and reason.startswith(("READONLY", "NOSCRIPT", "LOADING", "MASTERDOWN", "REPLACED")):
            self._ready.abort(reason)
            return
        if self._queue.in_flight:
            self._queue.send_again()
            self._failed(reason)
            self._retry_at = self._loop.time() + TRY_AGAIN_S[min(self.health.failures, len(TRY_AGAIN_S)) - 1]

    def _restored(self, reply: Reply) -> None:
        """All our rows are in the store."""
        if isinstance(reply, Exception):
            self._queue.mark()
        else:
            self._is_restored = True

    # Time

    def _tick(self) -> None:
        """Look at what is overdue, four times a second."""
        now = self._loop.time()
        self._timer = self._loop.call_later(TICK_S, self._tick)
        if self.health.failing_since is not None:
            self._queue.withdraw()
            self._tell_failing(now)
        if self._ready is None:
            return
        if self._ready.is_late(now):
            self._ready.abort("the store does not answer")
            return
        if self._are_servers_due:
            self._read_servers(self._ready)
        if now >= self._renew_at:
            self._renew_at = now + RENEW_EVERY_S
            self._renew(self._ready)
        self._flush_soon()

    def _renew(self, connection: StoreConnection) -> None:
        """Renew our lease; what is read for it is not followed."""
        keys, names = self._keys, tuple(self._table.incarnations())
        ours: Words = (self._server, self._incarnation, self._run, self._print, MOST_PROCESSES)
        renew: Words = ("EVALSHA", _RENEW, 4, keys.servers, keys.leases, keys.dead, keys.identity, *ours, *names)
        connection.send([(("CLIENT", "CACHING", "NO"), _ignored), (renew, partial(self._renewed, names))])

    def _renewed(self, names: Sequence[str], reply: Reply) -> None:
        match reply:
            case [int(known), int(dead), bytes(identity), list(leases)]:
                if not known or not self._is_same_store(identity):
                    self._forgotten_by_all()
                self._end_leases(dict(zip(names, leases, strict=False)))
                self._sweeps = MOST_SWEEPS if dead else 0
                self._sweep(1)
                if not self._queue:
                    self._worked(0)
            case ConnectionError():
                return
            case Exception():
                self._failed(str(reply))

    def _is_same_store(self, identity: bytes) -> bool:
        return identity.partition(b" ")[0] == self.identity.encode()

    def _forgotten_by_all(self) -> None:
        """Connect again: our entry is gone, and with it what others know of us."""
        if self._ready is not None:
            self._ready.abort("another server has ended our lease")

    def _end_leases(self, counts: Mapping[str, Reply]) -> None:
        """End the servers that renew their leases no more."""
        leases = {}
        for server, incarnation in self._table.incarnations().items():
            with suppress(ValueError, TypeError):
                leases[server] = incarnation, int(counts.get(server, b"") or b"0")
        ended = self._leases.renewed(leases)
        if self._ready is not None and ended:
            self._ready.send([(self._end(server, incarnation), _ignored) for server, incarnation in ended])
            self._ready.send([(self._servers(), self._servers_read)])

    def _sweep(self, reply: Reply) -> None:
        """Remove rows of servers that have ended, a few users at a time."""
        if reply != 1 or not self._sweeps or self._ready is None:
            return
        self._sweeps -= 1
        keys = self._keys
        words = ("EVALSHA", _SWEEP, 2, keys.servers, keys.dead, keys.prefix, SWEPT_AT_A_TIME)
        self._ready.send([(words, self._sweep)])

    # Health

    def _failed(self, reason: str) -> None:
        """Take note of a failure; one that lasts is told once."""
        health = self.health
        if health.failing_since is None:
            health.failing_since = self._loop.time()
        health.failures += 1
        health.last_error = f"{self._settings.url}: {printable(reason)}"
        self._give_up_lookups()

    def _tell_failing(self, now: float) -> None:
        since = self.health.failing_since
        if since is not None and now - since >= TOLD_AFTER_S and not self._told:
            self._told = True
            self._events.store_failing(OperatorError(self.health.last_error))

    def _worked(self, writes: int) -> None:
        health = self.health
        health.failing_since, health.failures = None, 0
        health.batches += 1 if writes and not self._queue.in_flight else 0
        health.writes += writes
        if self._told:
            self._told = False
            self._events.store_working()


_JOIN, _WRITE, _END, _RENEW, _SWEEP, _READ, _PURGE, _SERVERS = map(scripts.digest_of, scripts.ALL)


def _ignored(_reply: Reply) -> None:
    """Do nothing with a reply."""


def _run_id(reply: Reply) -> str:
    """Read which process of the store this is, in 40 hex digits; raises `MalformedReplyError`."""
    text = reply if isinstance(reply, bytes) else b""
    for line in text.splitlines():
        if (found := _RUN_ID.fullmatch(line)) is not None:
            return found[1].decode()
    raise MalformedReplyError("INFO without a run_id")


def _joined(reply: Reply) -> tuple[bytes, str, float]:
    """Read our entry, the identity and the age of the store; raises `MalformedReplyError`."""
    match reply:
        case [bytes(entry), bytes(identity), int(age)] if len(identity) == 32 and identity.isalnum():  # noqa: PLR2004
            return entry, identity.decode("ascii", "replace"), float(age)
    raise MalformedReplyError("the identity of the store")


def _name(row: Binding) -> bytes:
    return plain(row.key.name).encode()


def _pairs(reply: Reply) -> dict[bytes, bytes]:
    """Read names and values, which follow each other; raises `MalformedReplyError`."""
    if isinstance(reply, list) and all(isinstance(part, bytes) for part in reply):
        return dict(zip(reply[::2], reply[1::2], strict=False))
    raise MalformedReplyError("names and values")
