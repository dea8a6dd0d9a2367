"""The HTTPS server of the console, on a management server."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING, Final

from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import LocalError, OperatorError, Problem
from sipmesh.server.console.access.guard import LOGIN, Guard
from sipmesh.server.console.access.kerberos_logins import KerberosLogins
from sipmesh.server.console.access.leavers import Leavers
from sipmesh.server.console.access.listener import ConsoleListener
from sipmesh.server.console.access.openid.flow import OpenIdFlow, provider_check
from sipmesh.server.console.access.operator import CODE_LIFETIME_S, OpenIdLogin, Operator, Session
from sipmesh.server.console.access.operator_certificate import OperatorCertificates, issuing_of
from sipmesh.server.console.api import Api
from sipmesh.server.console.console_metrics import ConsoleMetrics
from sipmesh.server.console.operations import Operations
from sipmesh.server.console.pages.frame import Frame
from sipmesh.server.console.pages.routes import page_routes
from sipmesh.server.console.replies import LoggedOutReply, LoginCodeReply
from sipmesh.server.control_socket import WHO, ControlCommand
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.openid.logout_token import has_logged_out
from sipmesh.server.process.http_runner import logger_of, runner_of
from sipmesh.sip.text import ascii_lower
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.document.parts.enrolment import EnrolmentProtocol
from sipmesh.transport.tls.certificate_choice import holds, names_of
from sipmesh.transport.tls.contexts import CIPHERS_TLS12, present_by
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from cryptography import x509

    from sipmesh.server.console.scim_server import ScimServer
    from sipmesh.server.control_socket import Command
    from sipmesh.server.enrolment.enrolment_server import EnrolmentServer
    from sipmesh.server.log import Log
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.tls.contexts import Identity

LARGEST_BODY: Final = 64 << 10
"""Octets of a form or of a JSON body."""

CONSOLE_LOGIN: Final = ControlCommand("console-login", LoginCodeReply)
CONSOLE_LOGOUT: Final = ControlCommand("console-logout", LoggedOutReply)


class ConsoleServer:
    """Serves the console of *node* with *commands*: those of the control socket and those of the console alone.

    *enrolment* serves EST and ACME over the same port, and *scim* the clients that write users.
    """

    def __init__(
        self,
        node: RunningServer,
        commands: Mapping[str, Command],
        enrolment: EnrolmentServer,
        scim: ScimServer,
        log: Log,
    ) -> None:
        self._node, self._enrolment, self._scim, self._log = node, enrolment, scim, log
        self._issuers: Sequence[x509.Certificate] = ()
        certificates = OperatorCertificates(lambda: node.view, lambda: self._issuers, node.gatekeeper.clock)
        self._guard = Guard(lambda: node.view, node.loop.time, log, certificates)
        self._operations = Operations(commands)
        self._leavers = Leavers(lambda: node.view.loaded, self._guard.operators, node.loop.time, log)
        self._runner: web.AppRunner | None = None
        self._listener: ConsoleListener | None = None
        self._listens_as: tuple[object, ...] = ()

    async def open(self) -> None:
        """Listen if the topology has a console; raises `OperatorError` if the address cannot be used."""
        frame = Frame(self._operations, self._guard, lambda: self._node.view)
        flow = OpenIdFlow(lambda: self._node.view, self._node.loop.time, provider_check(self._node))
        kerberos = KerberosLogins(lambda: self._node.view, self._node.loop.time, partial(presented_leaf, self._node))
        app = web.Application(middlewares=[self._guard.answer_safely], client_max_size=LARGEST_BODY)
        app.add_routes(
            [
                *self._enrolment.routes(),
                *self._scim.routes(self._guard),
                *ConsoleMetrics(self._node, self._guard).routes(),
            ]
        )
        app.add_routes([*Api(self._operations, self._guard).routes(), *page_routes(frame, self._guard, flow, kerberos)])
        self._runner = runner_of(app, self._log)
        await self._runner.setup()
        self._leavers.start()
        await self._listen()

    async def follow(self) -> None:
        """Listen at another address after a new version has moved the console, and present a certificate that was renewed."""
        if self._listens_as == self._wanted():
            return
        try:
            await self._listen()
        except OperatorError as wrong:
            self._log.error("the console does not listen", why=str(wrong))

    def _wanted(self) -> tuple[object, ...]:
        view = self._node.view
        authority = view.loaded.authority
        has_scim = view.loaded.topology.scim is not None
        asks = (_asks_for_certificates(view), _serves_est(view), has_scim, authority.anchors, authority.devices)
        own = self._node.certificates
        shown = (own.presented.of(LinkKind.SERVER).chain, [one.chain for one in own.for_clients.identities])
        return (view.console, shown, asks)

    async def _listen(self) -> None:
        self._listens_as = self._wanted()
        console, listener = self._node.view.console, self._listener
        if listener is not None and listener.address == console:
            listener.present(self._context())
            self._log.info("console", url=self._url())
            return
        self._listener = None
        if listener is not None:
            await listener.close()
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
        """Return the context with the certificate of this server, and for names that browsers ask for those of `for_clients`."""
        own = self._node.certificates
        context = self._context_of(own.presented.of(LinkKind.SERVER))
        if own.for_clients.identities:
            others = [(names_of(one.leaf), self._context_of(one)) for one in own.for_clients.identities]
            context.sni_callback = partial(_choose, others)
        return context

    def _context_of(self, identity: Identity) -> ssl.SSLContext:
        """Return a context with one certificate: for TLS 1.3, and for TLS 1.2 where clients of EST or SCIM may need it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        present_by(context, identity)
        context.num_tickets = 0  # each connection proves its certificate
        if _serves_est(self._node.view) or self._node.view.loaded.topology.scim is not None:
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
        self._issuers = issuing_of(self._node.view.loaded.folder / CA, self._node.certificates)
        shown = (*authority.anchors, *authority.devices, *self._issuers)  # EST gives a client no issuer
        context.load_verify_locations(cadata="".join(a.public_bytes(Encoding.PEM).decode() for a in shown))

    def _url(self) -> str:
        console = self._node.view.console
        return f"https://{self._node.view.name}:{console[1]}" if console is not None else ""

    async def close(self) -> None:
        """Stop listening, and end all sessions."""
        await self._leavers.stop()
        await self._enrolment.close()
        if self._listener is not None:
            await self._listener.close()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def log_out(self, issuer: str, subject: str, session: str) -> int:
        """End the sessions of a person who has logged out at the provider *issuer*, and return how many there were.

        *subject* and *session* are the hashes of ``sub`` and ``sid``, or empty.
        """

        def is_meant(held: Session) -> bool:
            login = held.login
            return (
                isinstance(login, OpenIdLogin)
                and login.entry.issuer == issuer
                and has_logged_out(login.subject, login.session, subject, session)
            )

        ended = self._guard.operators.end(is_meant)
        for one in ended:
            self._log.info("operator logged out", who=one.login.owner, why="the provider tells of it")
        return len(ended)

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


def _choose(
    others: Sequence[tuple[frozenset[str], ssl.SSLContext]], tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext
) -> None:
    """Present the certificate that holds the *name* in the ClientHello (RFC 6066 section 3)."""
    found = next((context for names, context in others if holds(names, ascii_lower(name or ""))), None)
    if found is not None:
        tls.context = found


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


def presented_leaf(node: RunningServer, host: str) -> x509.Certificate:
    """Return the certificate that a client gets at the console of *node* if it asks for *host*."""
    own = node.certificates
    others = (one.leaf for one in own.for_clients.identities if holds(names_of(one.leaf), ascii_lower(host)))
    return next(others, own.presented.of(LinkKind.SERVER).leaf)
