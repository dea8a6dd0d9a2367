"""Servers of a pool whose bindings are in Valkey, each with its connection, on one loop that a test lets run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from sipmesh.storage.location_service.valkey.rows.seal import Seal
from sipmesh.storage.location_service.valkey.settings import ValkeySettings
from sipmesh.storage.location_service.valkey.valkey_locations import ValkeyLocations
from sipmesh.topology.document.storage.valkey_url import valkey_url
from storage.members import FE1, FE2, PATIENCE_S, Member
from support.running import LOOK_AGAIN_S
from support.valkey_server import ValkeyServer

ORGANISATION, POOL = "Example", "pool1.example.test"
POOL_KEY = bytes(range(32))
SEAL = Seal(POOL_KEY)


class ValkeyMember(Member):
    """One server on *loop*, which runs only while something is waited for."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: ValkeySettings, server: str, incarnation: int
    ) -> None:
        self.loop, self.told, self.changes = loop, [], []
        self.restores: list[Callable[[], None]] = []
        self.store = ValkeyLocations(settings)
        self.locations = self.store
        loop.run_until_complete(self._begin(server, incarnation))

    async def _begin(self, server: str, incarnation: int) -> None:
        self.store.begin(server, incarnation, self)

    def connected(self) -> None:
        """Wait until the store can be asked."""
        self.until(lambda: self.store.is_connected)

    def until(self, holds: Callable[[], object]) -> None:
        """Let the loop run until *holds*."""
        self.loop.run_until_complete(asyncio.wait_for(self._until(holds), PATIENCE_S))

    async def _until(self, holds: Callable[[], object]) -> None:
        while not holds():
            await asyncio.sleep(LOOK_AGAIN_S / 10)

    def version(self, aor: str = "sip:alice@example.test") -> int:
        """The version of the rows of a user, once what has come was read."""
        self.until(lambda: not self.store.is_behind())
        return super().version(aor)

    def changed(self, aor: str) -> None:
        """Store the rows of this server again, as a test says."""
        super().changed(aor)
        for restore in self.restores:
            restore()

    def forgotten(self) -> None:
        """Store the rows of this server again, as a test says."""
        super().forgotten()
        for restore in self.restores:
            restore()
        self.store.restored()


def settings_of(server: ValkeyServer, **changes: object) -> ValkeySettings:
    """The settings for a server of a test."""
    settings = ValkeySettings(
        valkey_url(f"valkey://127.0.0.1:{server.port}"), ORGANISATION, POOL, frozenset({FE1, FE2}), POOL_KEY
    )
    return replace(settings, **changes)  # type: ignore[arg-type]


@contextmanager
def valkey_members(
    server: ValkeyServer, *, connects: bool = True, **changes: object
) -> Iterator[Callable[[str, int], ValkeyMember]]:
    """Begin incarnations of servers, all of which share *server*; *connects*: each can ask it before a test goes on."""
    loop, members = asyncio.new_event_loop(), list[ValkeyMember]()

    def begin(name: str, incarnation: int) -> ValkeyMember:
        members.append(ValkeyMember(loop, settings_of(server, **changes), name, incarnation))
        if connects:
            members[-1].connected()
        return members[-1]

    yield begin
    for member in members:
        member.store.close()
    loop.run_until_complete(_ended())
    loop.close()


async def _ended() -> None:
    """Wait for the tasks of connections that were closed."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
