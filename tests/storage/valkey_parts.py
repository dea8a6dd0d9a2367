"""The parts of a server that uses Valkey, over a connection whose commands a test reads and answers; time stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sipmesh.errors import OperatorError
from sipmesh.storage.location_service.locations import StoreHealth
from sipmesh.storage.location_service.valkey import scripts
from sipmesh.storage.location_service.valkey.commands import StoreCommands, Words
from sipmesh.storage.location_service.valkey.connection import Reply, StoreConnection, Then
from sipmesh.storage.location_service.valkey.rows.seal import Seal
from sipmesh.storage.location_service.valkey.rows.slot_versions import SlotVersions
from sipmesh.storage.location_service.valkey.rows.user_rows import RowReader
from sipmesh.storage.location_service.valkey.servers.server_table import ServerTable
from sipmesh.storage.location_service.valkey.servers.server_watch import ServerWatch
from sipmesh.storage.location_service.valkey.session import StoreSession
from sipmesh.storage.location_service.valkey.settings import ValkeySettings
from sipmesh.topology.document.storage.valkey_url import valkey_url
from storage.members import FE1, FE2

POOL, POOL_KEY = "pool1.example.test", bytes(range(32))
SEAL, OTHER_SEAL = Seal(POOL_KEY), Seal(bytes(32))
RUN, IDENTITY = "a" * 40, "1" * 32
NOW = 1_000.0
WALL = 1_700_000_000.0
INCARNATION = 7
SETTINGS = ValkeySettings(valkey_url("valkey://127.0.0.1:1"), "Example", POOL, frozenset({FE1, FE2}), POOL_KEY)
_NAMES = {
    scripts.digest_of(script): name
    for script, name in zip(
        scripts.ALL, ("join", "write", "end", "renew", "sweep", "read", "purge", "servers"), strict=True
    )
}


class StillLoop(asyncio.SelectorEventLoop):
    """A loop that does not run; a test says what time it is."""

    now = NOW

    def time(self) -> float:
        """Give the time of the test."""
        return self.now


class ReadConnection(StoreConnection):
    """A connection whose commands are kept until `answer`; *reasons* are those for which it was left."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.sent: list[tuple[Words, Then]] = []
        self.reasons: list[str] = []

    def send(self, commands: Sequence[tuple[Words, Then]]) -> None:
        """Keep the commands."""
        self.sent.extend(commands)

    def abort(self, reason: str) -> None:
        """Keep the reason."""
        self.reasons.append(reason)

    @property
    def names(self) -> list[str]:
        """What the commands do that wait, by the names of their scripts."""
        return [named(words) for words, _ in self.sent]

    def answer(self, reply: Reply, *, name: str = "") -> Words:
        """Answer the oldest command, or the oldest of that *name*; gives its arguments."""
        at = self.names.index(name) if name else 0
        words, then = self.sent.pop(at)
        then(reply)
        return words


def named(words: Words) -> str:
    """Name a command by its script, others by their first word."""
    return (
        _NAMES.get(words[1] if isinstance(words[1], bytes) else b"", str(words[0])) if len(words) > 1 else str(words[0])
    )


class Parts:
    """What every part of fe1 is made with; *told* is what was said to the owner of the store."""

    def __init__(self, loop: StillLoop) -> None:
        self.loop, self.told, self.changes = loop, list[str](), list[str]()
        self.session = StoreSession("valkey://store", loop, StoreHealth(), self, lambda: self.told.append("given up"))
        self.session.identity = IDENTITY
        self.commands = StoreCommands(SETTINGS, SEAL, FE1, INCARNATION)
        self.commands.run = RUN
        self.table, self.versions = ServerTable(FE1, SETTINGS.servers), SlotVersions()
        self.table.joined(RUN, 0.0, NOW - 60)
        self.reader = RowReader(SEAL, self.table, FE1, INCARNATION)
        self.servers = ServerWatch(
            self.session, self.commands, self.table, self.versions, key=SEAL.print, pool=SETTINGS.pool
        )
        self.connection = ReadConnection(loop)

    def connected(self) -> Parts:
        """Let the store be asked, with all rows of this server in it."""
        self.session.ready, self.session.is_restored = self.connection, True
        return self

    def has_other_key(self) -> None:
        """Let fe2 seal its rows with another key than the pool's."""
        self.table.replace({FE2.encode(): entry(OTHER_SEAL)})

    def forgotten(self) -> None:
        """See `StoreEvents`."""
        self.told.append("forgotten")

    def doubted(self) -> None:
        """See `StoreEvents`."""
        self.told.append("doubted")

    def changed(self, aor: str) -> None:
        """See `StoreEvents`."""
        self.changes.append(aor)

    def store_failing(self, problem: OperatorError) -> None:
        """See `StoreEvents`."""
        self.told.append(f"failing: {problem.message}")

    def store_working(self) -> None:
        """See `StoreEvents`."""
        self.told.append("working")


def entry(seal: Seal = SEAL, incarnation: int = 3) -> bytes:
    """The entry of a process that has its rows in the store, sealed with *seal*."""
    return f"{incarnation} {RUN} 1 {seal.print} 0".encode()


@contextmanager
def parts_of_fe1() -> Iterator[Parts]:
    """Make the parts, not connected."""
    loop = StillLoop()
    yield Parts(loop)
    loop.close()
