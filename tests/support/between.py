"""A TCP proxy between two servers, which stops to pass octets on, in one direction or in both: a split without a notification."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, Self

from sipmesh.demo.ports import HOST
from sipmesh.server.running.running_server import RunningServer
from sipmesh.transport.hop import Hop
from sipmesh.trust.evidence import LinkKind

THERE: Final = "there"
BACK: Final = "back"


class Between:
    """Listens on a port of its own, and passes on what comes to *target*, an address or a socket file.

    It never resets a connection.
    """

    def __init__(self, target: tuple[str, int] | Path) -> None:
        self._target = target
        self._open = {THERE: asyncio.Event(), BACK: asyncio.Event()}
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._has_ended = False
        self.go_on()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.address: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._has_ended = True
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()  # what is left may be unread; from Python 3.12 on the server waits for connections
        await self._server.wait_closed()

    def stop(self, *directions: str) -> None:
        """Pass nothing on any more, in these directions."""
        for direction in directions or (THERE, BACK):
            self._open[direction].clear()

    def go_on(self) -> None:
        """Pass on everything again, also what has come meanwhile."""
        for opened in self._open.values():
            opened.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        if self._has_ended:  # the kernel had accepted it just before
            writer.transport.abort()
            return
        onward, backward = await self._reach()
        self._writers.append(backward)
        if self._has_ended:
            backward.transport.abort()
            return
        for direction, source, sink in ((THERE, reader, backward), (BACK, onward, writer)):
            pump = asyncio.create_task(self._pump(direction, source, sink))
            self._pumps.add(pump)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def _pump(self, direction: str, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await source.read(65_536):
                    await self._open[direction].wait()
                    sink.write(data)
                await self._open[direction].wait()  # the end of a connection does not get through either
        finally:
            sink.close()


class Reachable(Protocol):
    """What listens in place of a server."""

    address: tuple[str, int]


def reach_by(node: RunningServer, server: str, between: Reachable) -> None:
    """Have *node* open its links to *server* through *between* from now on."""
    in_force = node.current.value
    hop = Hop(server, LinkKind.SERVER, (between.address,))
    node.current.value = replace(in_force, hops={**in_force.hops, server: hop})
