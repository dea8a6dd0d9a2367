"""HTTP fetches of what others publish: CRLs (RFC 5280 4.2.1.13) and OCSP responses (RFC 6960 A.1).

The fetched documents are signed, so HTTP without TLS is enough. But the other end is not authenticated, and this server is at the
border of the network. So it contacts only hosts that the topology names, and limits the size and the duration of each fetch.
A server that answers for such a name in DNS cannot lead it to this machine, our servers or private networks
(`reachable_addresses`).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from sipmesh.errors import SipmeshError
from sipmesh.routing.proxy.locate import DnsQuestion, RecordKind
from sipmesh.server.process.https_server_check import HttpsServerCheck, https_context
from sipmesh.server.process.network_error import told_network_error
from sipmesh.server.refresh.fetch_turns import MOST_OF_OWNER, MOST_OF_PARTNERS
from sipmesh.topology.reachable_addresses import ReachableAddresses
from sipmesh.transport.resolver import UnansweredError
from sipmesh.transport.sockets import is_of_this_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sipmesh.transport.resolver import Resolver

AGENT: Final = "sipmesh"
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
PIECE: Final = 65_536
RECEIVE_OCTETS: Final = 16_384
"""What waits for us in the kernel of one connection, which doubles it. All of it is decrypted in one go, and a TLS KeyUpdate of
27 octets takes 6 us: with the kernel's default, a publisher could stop this process for a quarter of a second at a time."""


class FetchError(SipmeshError):
    """A URL gave nothing usable; the text is the reason, without the URL."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How long a source may keep us waiting, in seconds, and how many redirections are followed.

    A redirection is followed only to the same scheme, host and port. Otherwise an attacker who answers in place of a publisher
    could send this server to hosts that only this server can reach.
    """

    connect_s: float = 5.0
    whole_s: float = 60.0
    redirects: int = 3
    connections: int = MOST_OF_PARTNERS + MOST_OF_OWNER  # at the same time: those of partners, and of our own authority


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators by which a server reports that nothing has changed (RFC 9110 8.8); empty if it gave none."""

    etag: str = ""
    last_modified: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Validators:
        """Return the validators of a response."""
        return cls(headers.get("ETag", ""), headers.get("Last-Modified", ""))

    @property
    def headers(self) -> dict[str, str]:
        """The header fields of a conditional request (RFC 9110 13.1)."""
        conditions = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in conditions.items() if value}


UNKNOWN: Final = Validators()


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result of a fetch: *body* is None if nothing has changed since *validators* were given."""

    body: bytes | None
    validators: Validators


class HttpFetcher:
    """Fetches under *limits*; *resolver* resolves names, as for links.

    *reachable* gives the addresses to which a name may lead; a URL may have any. It uses no proxy. *check* judges the
    certificates of HTTPS servers; without it, as for a command, the authorities of this machine decide alone.
    """

    def __init__(
        self,
        resolver: Resolver,
        limits: FetchLimits | None = None,
        reachable: Callable[[], ReachableAddresses] = ReachableAddresses,
        check: HttpsServerCheck | None = None,
    ) -> None:
        self._resolver, self._limits, self._reachable = resolver, limits or FetchLimits(), reachable
        self._check = check
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, largest: int, known: Validators = UNKNOWN) -> Fetched:
        """Fetch at most *largest* octets from *url*; *known* makes the request conditional; raises `FetchError`."""
        return await self._bounded("GET", url, largest, known.headers, None)

    async def post(self, url: str, body: bytes, kind: str, largest: int) -> bytes:
        """Send *body* with the media type *kind*, and return the body of the response; raises `FetchError`."""
        fetched = await self._bounded("POST", url, largest, {"Content-Type": kind}, body)
        if fetched.body is None:
            raise FetchError("answers 304 to an unconditional request")
        return fetched.body

    async def close(self) -> None:
        """Close the open connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _bounded(
        self, method: str, url: str, largest: int, headers: dict[str, str], body: bytes | None
    ) -> Fetched:
        """Follow redirections within the time limit; translate all errors of the network and of aiohttp to `FetchError`."""
        try:
            async with asyncio.timeout(self._limits.whole_s):
                return await self._follow(method, URL(url, encoded=True), largest, headers, body)
        except TimeoutError:
            raise FetchError("takes too long to answer") from None
        except (aiohttp.ClientError, OSError, ValueError) as wrong:  # ValueError: unreadable header fields
            raise FetchError(told_network_error(wrong)) from None

    async def _follow(self, method: str, at: URL, largest: int, headers: dict[str, str], body: bytes | None) -> Fetched:
        first = at.origin()
        for _ in range(1 + self._limits.redirects):
            found = await self._ask(method, at, largest, headers, body)
            if isinstance(found, Fetched):
                return found
            at = _joined(at, found)
            if at.scheme != first.scheme or at.origin() != first:
                raise FetchError(f"redirects to {at.scheme}://{at.host or ''}, which the topology does not name")
        raise FetchError(f"redirects more than {self._limits.redirects} times")

    async def _ask(
        self, method: str, at: URL, largest: int, headers: dict[str, str], body: bytes | None
    ) -> Fetched | str:
        """Return the result, or the URL of a redirection."""
        session, tls = self._open(), https_context() if at.scheme == "https" else True
        async with session.request(method, at, headers=headers, data=body, allow_redirects=False, ssl=tls) as response:
            if response.status in REDIRECTS:
                return response.headers.get("Location", "")
            if response.status == HTTPStatus.NOT_MODIFIED and method == "GET":
                return Fetched(None, Validators.of(response.headers))
            if response.status != HTTPStatus.OK:
                raise FetchError(f"answers {response.status}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise FetchError("answers in a content coding that was not requested")
            return Fetched(await _read(response, largest), Validators.of(response.headers))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            limits = self._limits
            connector = aiohttp.TCPConnector(
                resolver=CheckedNames(self._resolver, self._reachable),
                limit=limits.connections,
                force_close=True,
                ssl=self._check or True,
                socket_factory=_with_small_buffer,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=limits.whole_s, sock_connect=limits.connect_s),
                headers={"User-Agent": AGENT, "Accept-Encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session


def _with_small_buffer(address: aiohttp.AddrInfoType) -> socket.socket:
    """Make the socket of one connection."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_OCTETS)
    return made


def _joined(at: URL, location: str) -> URL:
    if not location:
        raise FetchError("redirects without a location")
    there = at.join(URL(location))
    if there.scheme not in {"http", "https"}:
        raise FetchError(f"redirects to the scheme {there.scheme}:, which is not allowed")
    return there


async def _read(response: aiohttp.ClientResponse, largest: int) -> bytes:
    """Read at most one piece beyond the limit, for any announced length."""
    if (response.content_length or 0) > largest:
        raise FetchError(f"is larger than {largest} octets")
    read = bytearray()
    async for piece in response.content.iter_chunked(PIECE):
        read += piece
        if len(read) > largest:
            raise FetchError(f"is larger than {largest} octets")
    return bytes(read)


class CheckedNames(AbstractResolver):
    """Resolves names as links do, with the DNS servers of the topology if it names some.

    The connection goes to the addresses that it gives: they cannot change after the check.
    """

    def __init__(self, resolver: Resolver, reachable: Callable[[], ReachableAddresses]) -> None:
        self._resolver, self._reachable = resolver, reachable

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*; raises OSError if there are none, as aiohttp expects."""
        found: list[ResolveResult] = []
        refused: list[str] = []
        reachable = self._reachable()
        for kind, of in ((RecordKind.AAAA, socket.AF_INET6), (RecordKind.A, socket.AF_INET)):
            if family in {socket.AF_UNSPEC, of}:
                for address in await self._addresses(host, kind):
                    wrong = reachable.refused(host, address, is_of_this_machine)
                    if wrong:
                        refused.append(wrong)
                    else:
                        found.append(_result(host, address, port, of))
        if not found:
            raise OSError(errno.EADDRNOTAVAIL, _no_address(host, refused))
        return found

    async def _addresses(self, host: str, kind: RecordKind) -> list[str]:
        try:
            return [str(answer) for answer in await self._resolver.ask(DnsQuestion(host, kind))]
        except UnansweredError:
            return []

    async def close(self) -> None:
        """Do nothing: nothing is open."""


def _no_address(host: str, refused: Sequence[str]) -> str:
    if not refused:
        return f"no address of {host} was found"
    which = "; ".join(refused)
    remedy = "if that is right, add the network to federation.networks, or write the address in the URL"
    return f"DNS says that {host} is {which}: {remedy}"


def _result(host: str, address: str, port: int, family: socket.AddressFamily) -> ResolveResult:
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)
