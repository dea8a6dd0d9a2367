"""In a management pool, the server that leads alone changes accounts: the others send it what takes an invitation, over TLS.

The two prove themselves to each other. The server that leads shows the certificate of the pages, or its own, which our CA has
issued and its CRL does not list. The other server writes a MAC, with a key that follows from the files of the CA: admitted
management servers alone have them. The MAC covers the address of the client, on which budgets, networks and the audit log depend.
"""

from __future__ import annotations

import asyncio
import hmac
import ssl
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import web
from cryptography import x509
from yarl import URL

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.files import certificates_pem
from sipmesh.server.console.access.guard import Handler, is_of_another_site
from sipmesh.server.enrolment.new_token import MacSecret
from sipmesh.server.invitations.rule_pages import LARGEST_CHANGE
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.portal.logout_endpoint import LOGOUT
from sipmesh.server.process.http_runner import unavailable
from sipmesh.server.process.off_loop import off_loop
from sipmesh.topology.document.parts.invitations import RULES
from sipmesh.topology.view import invitation_hosts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from sipmesh.server.invitations.strangers import Strangers
    from sipmesh.server.log import Log
    from sipmesh.topology.view import ServerView

HEADER: Final = "Sipmesh-Client"
FRESH_S: Final = 30
"""Seconds for which a MAC counts; the clocks of the hosts may differ by as much."""

PATIENCE: Final = aiohttp.ClientTimeout(total=30.0)
LARGEST_ANSWER: Final = 1 << 20
LATER_S: Final = 5
_SENT: Final = ("Content-Type", "Origin", "Authorization")
_GIVEN_BACK: Final = ("Content-Type", "Content-Disposition", "Retry-After")
_JUDGED_THERE: Final = frozenset({LOGOUT, RULES})
"""What the leader judges by a token, so that no secret of an invitation is looked up before."""

_SENT_ON: Final = web.RequestKey("sent_on", bool)


class LeadingServer:
    """Sends requests to the management server that leads; *leader* returns its name, "" while none is known.

    *view* returns the topology in force, and *now* the wall clock. *strangers* counts requests with a wrong MAC. *found* raises
    the answer to a request whose secret is not that of an open invitation: the leader is not asked for a stranger's guesses.
    """

    def __init__(
        self,
        view: Callable[[], ServerView],
        leader: Callable[[], str],
        now: Callable[[], datetime],
        strangers: Strangers,
        found: Callable[[web.Request], Awaitable[object]],
        log: Log,
    ) -> None:
        self._view, self._leader, self._now, self._strangers, self._log = view, leader, now, strangers, log
        self._found = found
        self._read, self._has_key = (-1, b""), False

    @web.middleware
    async def receive(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Take the address of the client from a request that another server of the pool has sent on."""
        if request.path == RULES:  # the limit of the port is for forms
            request = request.clone(client_max_size=LARGEST_CHANGE)
        if HEADER not in request.headers:
            return await handler(request)
        address, _, mark = request.headers[HEADER].partition(" ")
        known = request.clone(remote=address, client_max_size=request.client_max_size)
        if not await self._is_marked(known, mark):
            raise self._strangers.failed(request, "it does not come from a management server")
        known[_SENT_ON] = True
        return await handler(known)

    @web.middleware
    async def send(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Send what uses an invitation to the server that leads, if this is another one."""
        leader = self._leader()
        if not _uses(request) or request.get(_SENT_ON, False) or leader in ("", self._view().name):
            return await handler(request)
        if is_of_another_site(request) and not _is_of_phone(request):
            raise web.HTTPForbidden(text="another site has caused this request\n")
        try:
            if request.path not in _JUDGED_THERE:
                await self._found(request)
            return await self._answer_of(leader, request)
        except (OperatorError, aiohttp.ClientError, OSError, TimeoutError) as wrong:
            self._log.warning("invitation not sent to the leader", leader=leader, why=str(wrong))
            text = "The server that leads cannot be reached now. Try again in some seconds.\n"
            raise unavailable(text, LATER_S) from None

    async def _answer_of(self, leader: str, request: web.Request) -> web.StreamResponse:
        """Send a request to the *leader*, whose certificate is checked first, and return its answer."""
        body, (address, port, host) = await request.read(), self._place(leader)
        pin = await self._checked(address, port, host.partition(":")[0])
        mark = f"{request.remote or ''} {self._marks(await self._key(), request, body)[0]}"
        headers = {name: request.headers[name] for name in _SENT if name in request.headers}
        headers |= {"Host": host, HEADER: mark}
        url = URL(f"https://{f'[{address}]' if ':' in address else address}:{port}{_path(request)}", encoded=True)
        async with (
            aiohttp.ClientSession(timeout=PATIENCE, auto_decompress=False) as session,
            session.request(
                request.method, url, data=body, headers=headers, ssl=pin, allow_redirects=False,
                server_hostname=host.partition(":")[0],
            ) as answer,
        ):  # fmt: skip
            content = await answer.content.read(LARGEST_ANSWER)
            back = {name: answer.headers[name] for name in _GIVEN_BACK if name in answer.headers}
            return web.Response(body=content, status=answer.status, headers=back)

    def _place(self, leader: str) -> tuple[str, int, str]:
        """Return address and port of the pages of the *leader*, and its host in links; raises `OperatorError`."""
        view, topology = self._view(), self._view().loaded.topology
        server, listening = topology.server(leader), view.invitations
        if server is None or listening is None or leader not in view.pool_mates:
            raise OperatorError(f"{leader} is no management server of the topology in force")
        return server.address or leader, listening[1], invitation_hosts(topology)[leader]

    async def _checked(self, address: str, port: int, name: str) -> aiohttp.Fingerprint:
        """Return what pins the certificate of the pages at an *address*: one for *name*; raises `OperatorError` or `OSError`."""
        pages, context = self._view().loaded.topology.invitations, self._context()
        async with asyncio.timeout(PATIENCE.total):
            _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=name)
            tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
            leaf = tls.getpeercert(binary_form=True) or b""
            writer.transport.abort()
        may_be_of_others = pages is not None and pages.certificate is not None
        if not await off_loop(_is_in_force, self._view(), leaf, may_be_of_others):
            raise OperatorError(f"the certificate of {name} at {address} was revoked, or is not of our CA")
        return aiohttp.Fingerprint(sha256(leaf).digest())

    def _context(self) -> ssl.SSLContext:
        """Trust our roots; and those of the machine, if the pages have a certificate of another CA."""
        loaded = self._view().loaded
        roots = certificates_pem(loaded.authority.anchors).decode()
        pages = loaded.topology.invitations
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=roots)
        if pages is not None and pages.certificate is not None:
            context.load_default_certs()
        return context

    async def _is_marked(self, request: web.Request, mark: str) -> bool:
        """Tell whether a server of the pool has made *mark* for a request, not long ago."""
        try:
            key = await self._key()
        except OperatorError:
            return False
        expected = self._marks(key, request, await request.read())
        return any(hmac.compare_digest(mark.encode(), one.encode()) for one in expected)

    def _marks(self, key: bytes, request: web.Request, body: bytes) -> list[str]:
        """Return the MAC of a request in the present span of time, and in those beside it."""
        now, origin = int(self._now().timestamp()) // FRESH_S, request.headers.get("Origin", "")
        told = "\n".join((request.remote or "", request.method, _path(request), origin, sha256(body).hexdigest()))
        return [hmac.digest(key, f"{now + near}\n{told}".encode(), "sha256").hex() for near in (0, -1, 1)]

    async def _key(self) -> bytes:
        """Return the key of the pool, which is read once in a while; raises `OperatorError` until the files of the CA have it."""
        span = int(self._now().timestamp()) // FRESH_S
        if self._read[0] != span:
            self._read = span, (await off_loop(MacSecret.read, self._view().loaded.folder / CA)).forwarding_key
        return self._read[1]

    async def make_key(self) -> None:
        """Make the key once, on the server that leads: the other servers get it with the files of the CA."""
        view = self._view()
        if self._has_key or not view.pool_mates or view.invitations is None or self._leader() != view.name:
            return
        try:
            await off_loop(MacSecret.read_or_made, view.loaded.folder / CA)
            self._has_key = True
        except OperatorError as wrong:
            self._log.error("invitation not taken", why=f"other servers of the pool cannot send it here: {wrong}")


def _path(request: web.Request) -> str:
    """Return the path as the client has sent it, without a query."""
    return request.rel_url.raw_path


def _uses(request: web.Request) -> bool:
    """Tell whether a request may use an invitation, ends logins or changes rules: to open a link, or what is public, does not."""
    kind = request.path.split("/")[1]
    if request.path == RULES:
        return request.method != "OPTIONS"
    return request.path == LOGOUT or ("secret" in request.match_info and (kind != "i" or request.method == "POST"))


def _is_of_phone(request: web.Request) -> bool:
    """Tell whether a request is for the web phone, which comes from a front end: the leader judges its origin."""
    return request.path == RULES or (request.path.startswith("/p/") and request.path.endswith("/account"))


def _is_in_force(view: ServerView, leaf: bytes, may_be_of_others: bool) -> bool:  # noqa: FBT001 - of `off_loop`
    """Tell whether no CRL of our CA lists *leaf*; the certificate of the pages may be of another CA."""
    ours, certificate = CaGenerations(view.loaded.folder / CA), x509.load_der_x509_certificate(leaf)
    return ours.has_issued(certificate) or (may_be_of_others and not ours.has_signed(certificate))
