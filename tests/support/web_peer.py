"""A peer over secure WebSocket: what a page does, with the standard library's TLS and wsproto as the client."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
from typing import Any, Self

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST, free_port
from sipmesh.sip.message import Request, Response
from support.peer import READ_SIZE, HungUpError, Peer, _counter

ORIGIN = "https://example.test"


def open_websocket(organisation: Organisation, **part: object) -> None:
    """Give each front end, and each edge with remote users, a WebSocket port; *part* has the keys of `websocket`."""
    document: dict[str, Any] = organisation.document
    document["websocket"] = part
    for pool in document["pools"]:
        for server in pool["servers"] if pool["role"] == "front-end" or pool.get("remote_users") else ():
            server["ports"]["websocket"] = free_port()
    organisation.write()


def web_address(organisation: Organisation, name: str) -> tuple[str, int]:
    """Where the server *name* listens for WebSocket."""
    document: dict[str, Any] = organisation.document
    servers = (server for pool in document["pools"] for server in pool["servers"])
    return HOST, next(server["ports"]["websocket"] for server in servers if server["name"] == name)


def upgrade(*headers: tuple[str, str], method: str = "GET", version: str = "1.1", **changed: str | None) -> bytes:
    """Write the request that opens a WebSocket; *changed* replaces a field (``sec_websocket_key=...``), None omits it."""
    fields: dict[str, str | None] = {
        "host": "example.test",
        "upgrade": "websocket",
        "connection": "keep-alive, Upgrade",
        "sec-websocket-key": base64.b64encode(os.urandom(16)).decode(),
        "sec-websocket-version": "13",
        "sec-websocket-protocol": "sip",
        "origin": ORIGIN,
    }
    fields |= {name.replace("_", "-"): value for name, value in changed.items()}
    rows = [*((name, value) for name, value in fields.items() if value is not None), *headers]
    written = "".join(f"{name}: {value}\r\n" for name, value in rows)
    return f"{method} / HTTP/{version}\r\n{written}\r\n".encode("latin-1")


class WebPeer(Peer):
    """One WebSocket. *answer* is the HTTP response; *closed* is the code of the server's Close frame, once it has come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str) -> None:
        super().__init__(reader, writer, user)
        self.socket = Connection(ConnectionType.CLIENT)
        self.contact = f"<sip:{user.partition('@')[0]}@df7jal23ls0d.invalid;transport=ws>"
        self.answer = b""
        self.closed: int | None = None
        self.told = ""
        self.binary = 0

    @classmethod
    async def begin(cls, address: tuple[str, int], user: str, request: bytes, name: str = "example.test") -> Self:
        """Connect, and send the HTTP *request*; gives the peer with what was answered."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(*address, ssl=context, server_hostname=name)
        peer = cls(reader, writer, user)
        await peer.write_octets(request)
        return peer

    @classmethod
    async def dial(cls, address: tuple[str, int], user: str, request: bytes = b"") -> Self:
        """Open a WebSocket with the HTTP *request*; raises `HungUpError` if the server refuses."""
        peer = await cls.begin(address, user, request or upgrade())
        await peer.upgraded()
        return peer

    async def upgraded(self) -> None:
        """Read the answer to the upgrade; raises `HungUpError` if it is not 101."""
        self.answer = await self._reader.readuntil(b"\r\n\r\n")
        if not self.answer.startswith(b"HTTP/1.1 101 "):
            raise HungUpError(self.answer.decode())

    async def write_octets(self, data: bytes) -> None:
        """Write octets that are no message."""
        self._writer.write(data)
        await self._writer.drain()

    async def write(self, data: bytes) -> None:
        await self.write_octets(self.socket.send(TextMessage(data.decode())))

    async def send(self, *messages: Request | Response) -> None:
        for message in messages:
            await self.write(message.encode())

    def via(self) -> str:
        return f"SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK-web-{next(_counter)}"

    async def receive(self) -> Request | Response:
        while not self._come:
            await self.read()
        return self._come.popleft()

    async def read(self) -> None:
        """Read once, and take what has come; raises `HungUpError` at the end of the connection, or after a Close frame."""
        if self.closed is not None:
            raise HungUpError(f"closed with {self.closed}")
        try:
            data = await self._reader.read(READ_SIZE)
        except (OSError, ssl.SSLError) as lost:
            raise HungUpError(str(lost)) from lost
        if not data:
            raise HungUpError("closed")
        self.heard += data
        self.socket.receive_data(data)
        for event in self.socket.events():
            if isinstance(event, TextMessage | BytesMessage):
                self.binary += isinstance(event, BytesMessage)
                octets = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
                self._come += [item for item in self._messages.feed(octets) if isinstance(item, Request | Response)]
            elif isinstance(event, Ping):
                await self.write_octets(self.socket.send(event.response()))
            elif isinstance(event, CloseConnection):
                self.closed, self.told = int(event.code), event.reason or ""

    async def read_all(self) -> None:
        """Read until the connection ends, and take nothing for a frame."""
        while data := await self._reader.read(READ_SIZE):
            self.heard += data

    @property
    def tcp(self) -> socket.socket:
        """The TCP socket."""
        found: socket.socket = self._writer.get_extra_info("socket")
        return found

    def abort(self) -> None:
        """Close the connection without a word."""
        self._writer.transport.abort()
