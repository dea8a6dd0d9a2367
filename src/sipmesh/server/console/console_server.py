"""The HTTPS server of the console, on a management server."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import LocalError, OperatorError, Problem
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.console.access.guard import LOGIN, Guard
from sipmesh.server.console.access.listener import ConsoleListener
from sipmesh.server.console.access.openid.flow import OpenIdFlow
from sipmesh.server.console.access.operator import CODE_LIFETIME_S, Operator
from sipmesh.server.console.access.operator_certificate import OperatorCertificates
from sipmesh.server.console.api import Api
from sipmesh.server.console.operations import Operations
from sipmesh.server.console.pages.frame import Frame
from sipmesh.server.console.pages.routes import page_routes
from sipmesh.server.console.replies import LoggedOutReply, LoginCodeReply
from sipmesh.server.control_socket import WHO, ControlCommand
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.process.http_runner import logger_of, runner_of
from sipmesh.server.process.https_server_check import HttpsServerCheck
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.document.parts.enrolment import EnrolmentProtocol
from sipmesh.transport.tls.contexts import CIPHERS_TLS12, present_by
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from cryptography import x509

    from sipmesh.server.certificates.own_certificates import OwnCertificates
    from sipmesh.server.control_socket import Command
    from sipmesh.server.enrolment.enrolment_server import EnrolmentServer
    from sipmesh.server.log import Log
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.view import ServerView

LARGEST_BODY: Final = 64 << 10
"""Octets of a form or of a JSON body."""

CONSOLE_LOGIN: Final = ControlCommand("console-login", LoginCodeReply)
CONSOLE_LOGOUT: Final = ControlCommand("console-logout", LoggedOutReply)


class ConsoleServer:
    """Serves the console of *node* with *commands*: those of the control socket and those of the console alone.

    *enrolment* serves EST and ACME over the same port.
    """

    def __init__(
        self, node: RunningServer, commands: Mapping[str, Command], enrolment: EnrolmentServer, log: Log
    ) -> None:
        self._node, self._enrolment, self._log = node, enrolment, log
        self._issuers: Sequence[x509.Certificate] = ()
        certificates = OperatorCertificates(lambda: node.view, lambda: self._issuers, node.gatekeeper.clock)
        self._guard = Guard(lambda: node.view, node.loop.time, log, certificates)
        self._operations = Operations(commands)
        self._runner: web.AppRunner | None = None
        self._listener: ConsoleListener | None = None
        self._listens_as: tuple[object, ...] = ()

    async def open(self) -> None:
        """Listen if the topology has a console; raises `OperatorError` if the address cannot be used."""
        frame = Frame(self._operations, self._guard, lambda: self._node.view)
        flow = OpenIdFlow(lambda: self._node.view, self._node.loop.time, self._provider_check())
        app = web.Application(middlewares=[self._guard.answer_safely], client_max_size=LARGEST_BODY)
        app.add_routes(self._enrolment.routes())
        app.add_routes([*Api(self._operations, self._guard).routes(), *page_routes(frame, flow)])
        self._runner = runner_of(app, self._log)
        await self._runner.setup()
        await self._listen()

    def _provider_check(self) -> HttpsServerCheck:
        """Return the check of the OpenID provider; our issuing CAs are read again for each connection to it."""
        node = self._node
        return HttpsServerCheck(
            node.view.name,
            lambda: node.view.loaded,
            lambda: _issuing(node.view.loaded.folder / CA, node.certificates),
            node.gatekeeper.clock,
        )

    async def follow(self) -> None:
        """Listen again after a new version has moved the console, or after the certificate of this server was renewed."""
        if self._listens_as == self._wanted():
            return
        try:
            await self._listen()
        except OperatorError as wrong:
            self._log.error("the console does not listen", why=str(wrong))

    def _wanted(self) -> tuple[object, ...]:
        view = self._node.view
        authority = view.loaded.authority
        asks = (_asks_for_certificates(view), _serves_est(view), authority.anchors, authority.devices)
        return (view.console, self._node.certificates.presented.of(LinkKind.SERVER).chain, asks)

    async def _listen(self) -> None:
        self._listens_as = self._wanted()
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()
        console = self._node.view.console
        if console is None or self._runner is None:
            return
        host, port = console
        server = self._runner.server
        if server is None:
            raise LocalError("the runner of the console is not set up")
        try:
            self._listener = ConsoleListener(host, port, self._context(), server, logger_of(self._log))
        except OSError as wrong:
            remedy = "set another address for `console` in the topology"
            where = Problem(self._node.file, 0, "console.listen", str(wrong), remedy)
            raise OperatorError(f"no console on {host} port {port}", (where,)) from wrong
        self._log.info("console", url=self._url())

    def _context(self) -> ssl.SSLContext:
        """Return the context with the certificate of this server: for TLS 1.3, and for TLS 1.2 where EST needs it."""
        identity = self._node.certificates.presented.of(LinkKind.SERVER)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        present_by(context, identity)
        context.num_tickets = 0  # each connection proves its certificate
        if _serves_est(self._node.view):
            _allow_tls_1_2(context)
        if _asks_for_certificates(self._node.view):
            self._ask_for_certificates(context)
        return context

    def _ask_for_certificates(self, context: ssl.SSLContext) -> None:
        """Ask the other end for a certificate of our own authority; who has none proves a name by other means.

        OpenSSL refuses another authority, an expired certificate and a wrong signature; each request is judged then.
        """
        authority = self._node.view.loaded.authority
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        self._issuers = _issuing(self._node.view.loaded.folder / CA, self._node.certificates)
        shown = (*authority.anchors, *authority.devices, *self._issuers)  # EST gives a client no issuer
        context.load_verify_locations(cadata="".join(a.public_bytes(Encoding.PEM).decode() for a in shown))

    def _url(self) -> str:
        console = self._node.view.console
        return f"https://{self._node.view.name}:{console[1]}" if console is not None else ""

    async def close(self) -> None:
        """Stop listening, and end all sessions."""
        await self._enrolment.close()
        if self._listener is not None:
            await self._listener.close()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def commands(self) -> Mapping[str, Command]:
        """Return the commands of the control socket by which an operator of this machine gets a code, and ends all sessions."""
        return {CONSOLE_LOGIN.name: self._new_code, CONSOLE_LOGOUT.name: self._log_out_all}

    async def _log_out_all(self, asked: Mapping[str, Any]) -> LoggedOutReply:
        ended = self._guard.operators.log_out_all()
        self._log.info("all operators logged out", who=asked[WHO], sessions=ended)
        return LoggedOutReply(ended)

    async def _new_code(self, asked: Mapping[str, Any]) -> LoginCodeReply:
        """Return a code that logs in once. A user who can open the control socket has every role."""
        if self._listener is None or self._node.view.console is None:
            raise OperatorError("the topology has no console: add `console: {listen: 8444}`, and publish")
        role = ConsoleRole(asked["role"])
        code = self._guard.operators.new_code(Operator(f"{asked[WHO]} (console)", role))
        return LoginCodeReply(f"{self._url()}{LOGIN}", code, role, CODE_LIFETIME_S)


def _asks_for_certificates(view: ServerView) -> bool:
    console = view.loaded.topology.console
    return console is not None and (console.client_certificates or _serves_est(view))


def _serves_est(view: ServerView) -> bool:
    console = view.loaded.topology.console
    enrolment = console.enrolment if console is not None else None
    return enrolment is not None and EnrolmentProtocol.EST in enrolment.protocols


def _allow_tls_1_2(context: ssl.SSLContext) -> None:
    """Accept TLS 1.2 too, with forward secrecy and AEAD only (rule R1): clients of EST such as libest have no TLS 1.3."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS_TLS12)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET


def _issuing(folder: Path, certificates: OwnCertificates) -> Sequence[x509.Certificate]:
    """Return the certificates of our issuing CAs: those of the CA in *folder*, or that of our own certificate."""
    if CaGenerations.are_in(folder):
        return [ca.issuing for ca in CaGenerations(folder).alive]
    return certificates.presented.of(LinkKind.SERVER).chain[1:]
