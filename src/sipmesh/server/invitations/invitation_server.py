"""The HTTPS port at which devices take invitations, on a management server."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import web

from sipmesh.errors import LocalError, OperatorError, Problem
from sipmesh.server.certificates.client_certificates import why_not_for_clients
from sipmesh.server.console.access.listener import ConsoleListener
from sipmesh.server.invitations.contact_pages import ContactPages
from sipmesh.server.invitations.file_pages import FilePages
from sipmesh.server.invitations.leading_server import LeadingServer
from sipmesh.server.invitations.pages import InvitationPages
from sipmesh.server.invitations.phonebook import PhonebookPages
from sipmesh.server.invitations.rule_pages import RulePages
from sipmesh.server.invitations.strangers import Strangers
from sipmesh.server.invitations.ticket_login import LogOut, TicketLogin
from sipmesh.server.portal.file_keeper import FileKeeper
from sipmesh.server.portal.portal_guard import LEAF
from sipmesh.server.process.http_runner import logger_of, runner_of
from sipmesh.transport.tls.contexts import Identity, present_by

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography import x509

    from sipmesh.server.console.access.guard import Handler
    from sipmesh.server.invitations.taking import Taking
    from sipmesh.server.log import Log
    from sipmesh.server.portal.portal import Portal
    from sipmesh.server.running.running_server import RunningServer

SWEEP_S = 60.0
"""Seconds between two looks for files whose time is over; then those that are left are counted."""

LARGEST_BODY = 4 << 10
"""Octets of the form of a stranger."""


class InvitationServer:
    """Serves the pages of invitations of *node*, and the *portal*.

    *taking* changes the accounts, and *leader* names the server that leads.
    """

    def __init__(
        self, node: RunningServer, taking: Taking, portal: Portal, leader: Callable[[], str], log: Log
    ) -> None:
        self._node, self._log = node, log
        strangers = Strangers(lambda: node.view, node.loop.time, log)
        pages = InvitationPages(lambda: node.view, taking, strangers)
        self._leading = leading = LeadingServer(
            lambda: node.view, leader, node.gatekeeper.clock, strangers, pages.found, log
        )
        middlewares = [
            strangers.answer_safely,
            self._present,
            leading.receive,
            strangers.count,
            leading.send,
            portal.guard.admit,
        ]
        app = web.Application(middlewares=middlewares, client_max_size=LARGEST_BODY)
        app.add_routes([*pages.routes(), *portal.routes()])
        app.add_routes(PhonebookPages(lambda: node.view, strangers, node.loop.time).routes())
        self._leaf: x509.Certificate | None = None
        tickets = TicketLogin(lambda: node.view, node.gatekeeper.clock, strangers)
        app.add_routes(LogOut(tickets, strangers, node.loop.time, log).routes())
        app.add_routes(ContactPages(lambda: node.view, tickets, strangers, node.loop.time).routes())
        app.add_routes(RulePages(portal.operations, tickets, strangers, node.loop.time).routes())
        self._keeper = FileKeeper(lambda: node.view)
        refused = node.counters.files.refused
        files = FilePages(lambda: node.view, self._keeper, tickets, strangers, node.loop.time, refused, log)
        app.add_routes(files.routes())
        self._sweeping: asyncio.Task[None] | None = None
        self._runner = runner_of(app, log)
        self._listener: ConsoleListener | None = None
        self._listens_as: tuple[object, ...] = ()

    @web.middleware
    async def _present(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Tell the handlers which certificate the port presents."""
        if self._leaf is not None:
            request[LEAF] = self._leaf
        return await handler(request)

    async def open(self) -> None:
        """Listen if the topology has the pages. Management starts also if their address or certificate cannot be used."""
        await self._runner.setup()
        await self.follow()
        self._sweeping = self._node.loop.create_task(self._sweep())

    async def _sweep(self) -> None:
        """Remove files whose time is over, or whose user is gone, once in a while."""
        while True:
            try:
                if removed := await self._keeper.sweep():
                    self._log.info("files removed", files=removed)
                figures = self._node.counters.files
                figures.kept, figures.octets = await self._keeper.usage()
            except OperatorError as wrong:
                self._log.warning("files not removed", why=str(wrong))
            await asyncio.sleep(SWEEP_S)

    async def follow(self) -> None:
        """Listen again after a new version has moved the pages, or after their certificate was renewed.

        A certificate that browsers would refuse is not used. The earlier certificate stays.
        """
        await self._leading.make_key()
        wanted = self._wanted()
        if wanted == self._listens_as:
            return
        self._listens_as = wanted
        try:
            await self._listen()
        except OperatorError as wrong:
            self._log.error("the pages of invitations do not listen", why=str(wrong))

    def _wanted(self) -> tuple[object, ...]:
        """Return what the port depends on: the address, the name, and the files of the certificate as they are now."""
        view = self._node.view
        if view.invitations is None:
            return ()
        return (view.invitations, view.invitation_host, *map(_stamp, view.invitation_files))

    async def _listen(self) -> None:
        view = self._node.view
        context = self._context() if view.invitations is not None else None
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()
        if context is None or view.invitations is None:
            return
        host, port = view.invitations
        server = self._runner.server
        if server is None:
            raise LocalError("the runner of the pages of invitations is not set up")
        try:
            self._listener = ConsoleListener(host, port, context, server, logger_of(self._log))
        except OSError as wrong:
            remedy = "set another address for `invitations` in the topology"
            where = Problem(self._node.file, 0, "invitations.listen", str(wrong), remedy)
            raise OperatorError(f"no pages of invitations on {host} port {port}", (where,)) from wrong
        self._log.info("invitations", url=f"https://{view.invitation_host}")

    def _context(self) -> ssl.SSLContext:
        """Return the context for TLS 1.2 and later, for desk phones. Raises `OperatorError` for a wrong certificate."""
        view = self._node.view
        chain, key = view.invitation_files
        name = view.invitation_host.partition(":")[0]
        identity = Identity.load(chain, key)
        if fault := why_not_for_clients(identity, (name,), datetime.now(UTC)):
            raise OperatorError(f"the certificate of the pages of invitations cannot be used: {fault}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
        present_by(context, identity)
        self._leaf = identity.leaf
        return context

    async def close(self) -> None:
        """Stop listening."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._listener is not None:
            await self._listener.close()
        await self._runner.cleanup()
        await self._keeper.close()


def _stamp(file: Path) -> tuple[object, ...]:
    """Return what changes when a file is replaced."""
    try:
        seen = file.stat()
    except OSError:
        return (file, None)
    return (file, seen.st_ino, seen.st_mtime_ns, seen.st_size)
