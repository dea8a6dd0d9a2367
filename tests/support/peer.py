"""A peer that writes all that the test wants over real TLS, with the standard library's streams and nothing of ours below SIP."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

from sipmesh.sip.digest import answer, is_digest, parse_challenge
from sipmesh.sip.framing import Keepalive, MessageReader, ReadLimits
from sipmesh.sip.message import Request, Response, build_request, respond

READ_SIZE = 65_536
Headers = Iterable[tuple[str, str]]
_counter = itertools.count(1)


class HungUpError(Exception):
    """The server has closed the connection."""


class Peer:
    """One connection. *user* is ``alice@example.test``: it goes into From, and its password is the demo's.

    *contact* is the whole value of the Contact in what it sends.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str) -> None:
        self.user, self.login = user, ""  # the digest user name, if it is not that of the user
        self.tag = f"t{next(_counter)}"
        self._reader, self._writer = reader, writer
        self._messages = MessageReader(ReadLimits())
        self._come: deque[Request | Response] = deque()
        self.heard = bytearray()  # every octet that came, for readers other than ours
        self._cseq = 0
        host, port = self.address = writer.get_extra_info("sockname")[:2]
        self.contact = f"<sip:{user.partition('@')[0]}@{host}:{port};transport=tls>"

    @classmethod
    async def open(
        cls,
        address: tuple[str, int],
        user: str = "nobody@nowhere.test",
        credentials: tuple[Path, Path] | None = None,
        source: str | None = None,
        protocol: str = "",
    ) -> Self:
        """Connect, with *credentials* (chain and key) where the port asks for them, from the address *source* if it is given.

        *protocol* is what it says the link is for (ALPN). Whom it meets is not checked.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if credentials is not None:
            context.load_cert_chain(*credentials)
        if protocol:
            context.set_alpn_protocols([protocol])
        local = None if source is None else (source, 0)
        reader, writer = await asyncio.open_connection(*address, ssl=context, local_addr=local)
        return cls(reader, writer, user)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        with suppress(OSError, ssl.SSLError, TimeoutError):
            async with asyncio.timeout(1):
                await self._writer.wait_closed()

    # Writing

    async def write(self, data: bytes) -> None:
        """Write any bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def send(self, *messages: Request | Response) -> None:
        """Write messages in one go."""
        await self.write(b"".join(message.encode() for message in messages))

    def via(self) -> str:
        """A Via for a new transaction."""
        host, port = self.address
        return f"SIP/2.0/TLS {host}:{port};branch=z9hG4bK-peer-{next(_counter)}"

    def request(
        self,
        method: str,
        uri: str,
        headers: Headers = (),
        body: bytes = b"",
        *,
        sender: str | None = None,
        to: str | None = None,
        call_id: str | None = None,
        cseq: int | None = None,
    ) -> Request:
        """Make a request; *sender* and *to* are whole values of From and To, in place of the usual values."""
        self._cseq += 1
        fixed = [
            ("via", self.via()),
            ("max-forwards", "70"),
            ("from", sender or f"<sip:{self.user}>;tag={self.tag}"),
            ("to", to or f"<{uri}>"),
            ("call-id", call_id or f"c{next(_counter)}"),
            ("cseq", f"{cseq or self._cseq} {method}"),
            ("contact", self.contact),
        ]
        return build_request(method, uri, [*fixed, *headers], body)

    async def reply(self, request: Request, status: int, headers: Headers = (), body: bytes = b"") -> Response:
        """Answer a request that came in, with our Contact and its Record-Route as a phone does."""
        routes = [("record-route", value) for value in request.values("record-route")]
        fields = [*routes, ("contact", self.contact), *headers]
        response = respond(request, status, headers=fields, to_tag=self.tag, body=body)
        await self.send(response)
        return response

    # Reading

    async def receive(self) -> Request | Response:
        """Wait for the next message; raises `HungUpError` where the connection ends instead."""
        while not self._come:
            try:
                data = await self._reader.read(READ_SIZE)
            except (OSError, ssl.SSLError) as lost:
                raise HungUpError(str(lost)) from lost
            if not data:
                raise HungUpError("closed")
            self.heard += data
            self._come += [item for item in self._messages.feed(data) if not isinstance(item, Keepalive)]
        return self._come.popleft()

    async def request_in(self, method: str) -> Request:
        """Wait for the next request, which has to be of *method*."""
        message = await self.receive()
        assert isinstance(message, Request), message
        assert message.method == method, message
        return message

    async def final(self, *, method: str = "") -> Response:
        """Wait for the next final response (to *method*); provisional responses are passed over."""
        while True:
            message = await self.receive()
            assert isinstance(message, Response), message
            if message.status >= 200 and (not method or message.cseq.method == method):
                return message

    async def hung_up(self) -> None:
        """Wait until the server closes; all that it sends before is passed over."""
        with suppress(HungUpError):
            while True:
                await self.receive()

    async def silent(self) -> None:
        """See that nothing has come for us: an OPTIONS to the server is answered, and before its answer nothing came."""
        probe = self.request("OPTIONS", "sip:example.test")
        await self.send(probe)
        message = await self.receive()
        assert isinstance(message, Response), message
        assert message.call_id == probe.call_id, message

    # Both

    async def ask(self, request: Request) -> Response:
        """Send a request and wait for its final response; answers to others are passed over."""
        await self.send(request)
        while (response := await self.final()).call_id != request.call_id:
            pass
        return response

    async def register(self, headers: Headers = (), password: str | None = None) -> Response:
        """Register with the password that the demo gives its users, or with another."""
        first = await self.ask(self._register(headers))
        return first if first.status != 401 else await self.ask(self._answered(first, headers, password))

    async def register_by(self, token: str, headers: Headers = ()) -> Response:
        """Register with an access token (RFC 8898)."""
        return await self.ask(self._register([("authorization", f"Bearer {token}"), *headers]))

    async def with_credentials(self) -> Request:
        """Have the server challenge us; gives the REGISTER with credentials that is to be sent next."""
        challenged = await self.ask(self._register(()))
        assert challenged.status == 401, challenged
        return self._answered(challenged, (), None)

    def _register(self, headers: Headers) -> Request:
        return self.request("REGISTER", f"sip:{self.user.partition('@')[2]}", headers, to=f"<sip:{self.user}>")

    def _answered(self, first: Response, headers: Headers, password: str | None) -> Request:
        name, _, domain = self.user.partition("@")
        uri = f"sip:{domain}"
        challenges = [parse_challenge(value) for value in first.values("www-authenticate") if is_digest(value)]
        secret = f"{name}-secret" if password is None else password
        credentials = answer(challenges, self.login or name, secret, "REGISTER", uri, "cnonce", 1)
        return self._register([("authorization", credentials), *headers])
