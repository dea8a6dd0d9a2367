"""The metrics port over TLS: by the certificate of the server, and for operators of the topology alone."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import LocalError, OperatorError
from sipmesh.server.console.access.guard import Guard
from sipmesh.server.console.access.listener import ConsoleListener
from sipmesh.server.console.access.operator_certificate import OperatorCertificates, issuing_of
from sipmesh.server.console.console_metrics import UNKNOWN
from sipmesh.server.process.http_runner import logger_of, runner_of
from sipmesh.transport.tls.contexts import present_by
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.server.running.running_server import RunningServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OperatorsOnly:
    """Presents the certificate of *node*, and wants the token or the certificate of an operator: any role may read."""

    def __init__(self, node: RunningServer) -> None:
        self._node = node
        self._issuers: Sequence[x509.Certificate] = ()
        certificates = OperatorCertificates(lambda: node.view, lambda: self._issuers, node.gatekeeper.clock)
        self._guard = Guard(lambda: node.view, node.loop.time, node.log, certificates)
        self._made_of = self._wanted()
        self._context = self._made()

    def port(self, app: web.Application) -> OperatorsPort:
        """Return the port that serves *app*."""
        return OperatorsPort(app, self, self._node)

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer 401 to all others, for each path."""
        if self._guard.identify_program(request) is None:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"}, text=UNKNOWN)
        return await handler(request)

    def context(self) -> ssl.SSLContext:
        """Return the context for the port. Each handshake presents the certificate that is in use then."""
        context = self._made()
        context.sni_callback = self._present
        return context

    def _present(self, tls: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        if (wanted := self._wanted()) != self._made_of:
            try:
                self._context, self._made_of = self._made(), wanted
            except OperatorError as wrong:
                self._node.log.warning("the metrics present the earlier certificate", why=str(wrong))
        tls.context = self._context

    def _wanted(self) -> tuple[object, ...]:
        own, view = self._node.certificates, self._node.view
        return own.presented.of(LinkKind.SERVER).chain, view.loaded.authority.anchors

    def _made(self) -> ssl.SSLContext:
        """Ask for a certificate of our own authority, and let a client without one send a token."""
        own, view = self._node.certificates, self._node.view
        self._issuers = issuing_of(view.loaded.folder / "ca", own)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0  # each connection proves its certificate
        present_by(context, own.presented.of(LinkKind.SERVER))
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        shown = (*view.loaded.authority.anchors, *self._issuers)
        context.load_verify_locations(cadata="".join(one.public_bytes(Encoding.PEM).decode() for one in shown))
        return context


class OperatorsPort:
    """Serves *app* over TLS by the context of *only*, with a bounded number of connections and handshakes."""

    def __init__(self, app: web.Application, only: OperatorsOnly, node: RunningServer) -> None:
        self._only, self._log = only, node.log
        self._runner = runner_of(app, node.log)
        self._listener: ConsoleListener | None = None

    async def open(self, host: str, port: int) -> None:
        """Listen; raises `OSError` if the address cannot be used."""
        await self._runner.setup()
        server = self._runner.server
        if server is None:
            raise LocalError("the runner of the metrics is not set up")
        self._listener = ConsoleListener(host, port, self._only.context(), server, logger_of(self._log))

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            await self._listener.close()
        await self._runner.cleanup()
