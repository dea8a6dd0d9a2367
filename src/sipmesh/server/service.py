"""Runs servers until they receive an order to stop: signals, the control socket, changed files, new CRLs.

Several servers of a small network may share a process. They share only its loop and its signals. Messages between them use
judged links, as between two machines.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sipmesh.pki.files import keep_private, must_be_private
from sipmesh.server.admin.commands import AdminCommands
from sipmesh.server.admin.expiry_warnings import ExpiryWarnings, concerning, stock_of, tell
from sipmesh.server.admin.replies import END_CALL
from sipmesh.server.admin.status_report import status_of
from sipmesh.server.control_socket import SOCKET_SUFFIX, STATE, ControlSocket
from sipmesh.server.draining import Draining
from sipmesh.server.process.crl_reissue import CrlReissue
from sipmesh.server.process.gc_tuning import GcTuning
from sipmesh.server.process.owned_state import owned_state
from sipmesh.server.process.service_manager import READY, STOPPING, notify
from sipmesh.server.public_certificates.on_demand import OrderOnDemand
from sipmesh.server.refresh.on_demand import FetchOnDemand
from sipmesh.server.refresh.reloader import Reloader
from sipmesh.server.replication.topology_source import source_of
from sipmesh.server.running.running_server import RunningServer
from sipmesh.server.running.worker_place import ALONE, WorkerPlace
from sipmesh.server.tracing.traced_message import TRACE
from sipmesh.server.wiring import ControlPlaneRole, attach_control_plane
from sipmesh.sip.text import ascii_lower
from sipmesh.storage import state_format
from sipmesh.transport.reactor.descriptors import OUT_OF_RESOURCES
from sipmesh.transport.reactor.event_loop import run
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sipmesh.server.admin.metrics.page import Protection
    from sipmesh.server.agent.agent import Agent
    from sipmesh.server.console.console_server import ConsoleServer
    from sipmesh.server.control_socket import Command
    from sipmesh.server.invitations.invitation_server import InvitationServer
    from sipmesh.server.log import Log
    from sipmesh.server.management.controller import Controller
    from sipmesh.server.proxy.links.reception import Reception
    from sipmesh.server.replication.server_status import ServerStatus
    from sipmesh.server.workers.supervisor import Supervisor
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.parts.stores import Storage

TICK_S = 0.5
"""Seconds between two checks of deadlines and files; a file that changed without an event is read after two equal checks.

The kernel reports a change at once, but not a change that another machine makes on a network file system.
"""

REPLACE_EVERY_S = 5.0
"""Seconds between two checks of links that we opened under a certificate that is about to expire."""

LOOK_UP_EVERY_S = 300.0
"""Seconds between two DNS queries for the addresses of servers and partners, whose handshakes have their own budget."""

WARN_EVERY_S = 60.0
"""Seconds between two checks of certificates and CRLs that expire soon; each is logged once a day."""


def serve(
    file: Path, names: Sequence[str], log_of: Callable[[str], Log], fork_workers: Callable[[], socket.socket]
) -> None:
    """Run the servers *names* of the topology in *file*; returns after SIGTERM or SIGINT, when everything is drained.

    A server that has workers calls *fork_workers* before it is built, and asks for each worker on the socket that it returns.

    A second signal ends the draining at once. Raises `OperatorError` if the topology, a certificate, a key or a port cannot be
    used; then no server runs.
    """
    run(serve_all([Service(file, name, log_of(name), fork_workers) for name in names]))


async def serve_all(
    services: Sequence[Service],
    ready: Callable[[RunningServer], None] | None = None,
    *,
    obeys_signals: bool = True,
) -> None:
    """Start all servers, call *ready* for each, serve, and drain; if one cannot start, all stop, and its error is raised."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(services[0].fault)
    if obeys_signals:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop, services)
    try:
        for service in services:
            service.read()
        for service in sorted(services, key=lambda service: service.role is not Role.FRONT_END):
            service.build()  # a front end first: the loop waits in the epoll of the first server's links
        for service in services:
            await service.start()
        if obeys_signals:
            loop.add_signal_handler(signal.SIGHUP, _reload, services)
        collector = GcTuning(loop.time())
        collector.begin()
        try:
            for service in services:
                service.begin(ready)
            if obeys_signals:
                notify(READY)
            async with asyncio.TaskGroup() as all_of_them:
                collecting = all_of_them.create_task(_collecting(collector, services))
                await asyncio.gather(*(all_of_them.create_task(service.work()) for service in services))
                collecting.cancel()
        finally:
            collector.end()
    finally:
        await asyncio.gather(*(service.close() for service in services))


def _reload(services: Sequence[Service]) -> None:
    for service in services:
        service.reload()


def _stop(services: Sequence[Service]) -> None:
    notify(STOPPING)
    for service in services:
        service.stop()


async def _collecting(collector: GcTuning, services: Sequence[Service]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        collector.tick(loop.time(), busy=any(service.busy for service in services))
        await asyncio.sleep(TICK_S)


class Service:
    """One server with everything around it; call read, build, start, begin, work and close, in this order."""

    def __init__(
        self, file: Path, name: str, log: Log, fork_workers: Callable[[], socket.socket] | None = None
    ) -> None:
        self._file, self._name, self._log, self._fork_workers = file, name, log, fork_workers
        self._forked: socket.socket | None = None
        self._replaced_at = self._warned_at = 0.0
        self._led = True  # whether this server led the management pool at the last look
        self._expiry_warnings = ExpiryWarnings()
        self._storage: Storage | None = None  # with which the server has started, if this process is a worker
        self._open = AsyncExitStack()
        self._pages: Sequence[ConsoleServer | InvitationServer] = ()
        self._supervisor: Supervisor | None = None
        self._role = ControlPlaneRole()
        self._told_to_stop, self._hurry, self._drained = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def serve(self, ready: Callable[[RunningServer], None] | None = None) -> None:
        """Run this server alone: see `serve_all`."""
        await serve_all([self], ready)

    @property
    def busy(self) -> bool:
        """Whether a request waits for its final response."""
        return self._node.relay.load > 0

    @property
    def role(self) -> Role | None:
        """The role of the server in the topology; None if the topology does not have it."""
        pool = self._loaded.topology.pool_of(self._name.lower())
        return pool.role if pool is not None else None

    def read(self) -> None:
        """Find the server's topology, and read it; raises `OperatorError`, such as while another process serves under this name.

        A process that drains has closed its ports, but it still writes to the state folder.
        """
        state = self._file.parent / STATE
        self._open.enter_context(owned_state(state, ascii_lower(self._name)))
        if written := keep_private(state):
            self._log.warning(
                "other users could write to these files of the server: only its user can now; if they may have done so, "
                "join the server again, or restore its backup",
                files=[str(path) for path in written],
            )
        state_format.take(state)
        self._source = source_of(self._file, self._name)
        self._loaded = self._source.load()
        must_be_private(key_files_of(self._loaded, ascii_lower(self._name)))
        must_be_private([state / f"{ascii_lower(self._name)}.users"], NEW_PASSWORDS)
        if self._fork_workers is not None and self._place_of().is_supervisor:
            self._forked = self._fork_workers()

    def build(self) -> None:
        """Build the server; nothing listens yet."""
        loop = asyncio.get_running_loop()
        place = self._place_of()
        self._node = node = RunningServer(
            self._file, self._name, self._log, loaded=self._loaded, place=place, storage=self._storage
        )
        self._open.callback(self._log.info, "stopped", server=node.view.name)
        self._open.push_async_callback(node.drain)
        self.fetching = FetchOnDemand(node, self._look, self._log, fetches_crls=place.is_alone or place.is_supervisor)
        node.outside.sources = self.fetching
        self.fetching.follow(node.view.loaded)
        self._open.push_async_callback(self.fetching.close)
        self._reading = reading = Reloader(node, self._source, loop, self._log)
        self._open.callback(reading.close)
        self._public_ca = OrderOnDemand(node, self._look, self._log)
        self._open.push_async_callback(self._public_ca.close)
        self.crl_reissue = CrlReissue(
            node.view.loaded.folder / "ca", self._follows, self._publishes, self._clocks_s, loop, self._log
        )
        self._attach(node)

    def _place_of(self) -> WorkerPlace:
        """Return the place of this process: the only one of the server, or its supervisor."""
        count = workers_of(self._loaded, ascii_lower(self._name))
        return WorkerPlace(count=count) if count > 1 else ALONE

    def _attach(self, node: RunningServer) -> None:
        """Attach the control plane, the workers if there are some, and the control socket."""
        if node.reception is not None:
            self._supervise(node, node.reception)
        status = self._status if self._supervisor is not None else None
        self._role = attach_control_plane(node, self._source, self._reading, self._log, status)
        socket = node.state / f"{node.view.name}{SOCKET_SUFFIX}"
        commands = self._commands()
        node.outside.tracing, node.outside.ending = commands[TRACE.name], commands[END_CALL.name]
        self._control = ControlSocket(socket, commands, self._log)

    def _supervise(self, node: RunningServer, reception: Reception) -> None:
        """Keep workers; the modules for it are imported only for a server that has some."""
        from sipmesh.server.workers.supervisor import Supervisor

        self._supervisor = Supervisor(node, reception, self._log, self._settled, self._forked)
        self._open.push_async_callback(self._supervisor.close)

    def _status(self) -> ServerStatus:
        own = status_of(self._node)
        return self._supervisor.status(own) if self._supervisor is not None else own

    def _settled(self) -> None:
        """Report to management what every worker has in force now."""
        if self._role.agent is not None:
            self._role.agent.reporter.report_soon()

    def _commands(self) -> Mapping[str, Command]:
        """Return the commands of the control socket: those of every server, with those of management if this is management."""
        reading = self._reading
        parts = (self._node, reading.reload, reading.look, self.drain)
        if self._supervisor is not None:
            from sipmesh.server.workers.merged_commands import MergedCommands

            return MergedCommands(*parts, self._supervisor).commands()
        own = AdminCommands(*parts)
        if self._controller is None:
            return own.commands()
        from sipmesh.server.management_wiring import pages_with, with_management

        commands = with_management(own.commands(), self._controller)
        self._pages = pages = pages_with(self._node, self._controller, commands, self._reading, self._log)
        return {**commands, **pages[0].commands()}

    @property
    def control_plane(self) -> Controller | Agent | None:
        """The part of this server in the control plane; None in a network without management."""
        return self._role.controller or self._role.agent

    @property
    def _controller(self) -> Controller | None:
        """The controller, if this is the management server; otherwise None."""
        return self._role.controller

    async def start(self) -> None:
        """Open the ports, the control socket, the metrics page, the console and the pages of invitations.

        Raises `OperatorError` if a port or a socket cannot be opened.
        """
        self._node.start()
        if self._supervisor is not None:
            await self._supervisor.start()
        self._open.push_async_callback(self._control.close)
        await self._control.open()
        await self._open_page(self._node)
        for pages in self._pages:
            self._open.push_async_callback(pages.close)
            await pages.open()

    def begin(self, ready: Callable[[RunningServer], None] | None) -> None:
        """Open links to other servers, now that all servers of this process listen; then call *ready*."""
        node = self._node
        if self.control_plane is not None:
            self.control_plane.begin()
            self._open.callback(self.control_plane.close)
        self._open.callback(node.loop.create_task(self._look_up_neighbours()).cancel)
        self._log.info("serving", server=node.view.name, role=node.view.role, version=node.view.loaded.number)
        if ready is not None:
            ready(node)

    async def close(self) -> None:
        """Drain, and remove what was created so far."""
        await self._open.aclose()

    def reload(self) -> None:
        """Read everything again."""
        self._reading.reload()

    def _look(self, files: Collection[Path]) -> object:
        return self._reading.look(files)

    async def _open_page(self, node: RunningServer) -> None:
        """Serve metrics and our CRLs if the topology says so; otherwise the modules for it are not even imported."""
        if node.view.metrics is not None:
            from sipmesh.server.admin.metrics.page import MetricsPage

            page = MetricsPage(node, self._supervisor, protection=self._protection(node))
            self._open.push_async_callback(page.close)
            await page.open()
        if node.view.publish_lists is not None:
            from sipmesh.server.management.ca_publication import CaPublication

            lists = CaPublication(
                node.view.loaded.folder / "ca", node.view.publish_lists, node.gatekeeper.clock, self._log
            )
            self._open.push_async_callback(lists.close)
            await lists.open()

    def _protection(self, node: RunningServer) -> Protection | None:
        if not node.view.metrics_tls:
            return None
        from sipmesh.server.console.operators_only import OperatorsOnly

        return OperatorsOnly(node)

    def fault(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log a bug of ours; only the work that it happened in is lost. asyncio reports each failed accept of its own."""
        wrong = context.get("exception")
        if isinstance(wrong, OSError) and wrong.errno in OUT_OF_RESOURCES:
            self._node.reactor.shortage.noticed(self._node.loop.time())
            return
        self._log.error("fault", what=context.get("message"), exc_info=wrong)

    def stop(self) -> None:
        """Drain, then end; a second call ends at once."""
        if self._told_to_stop.is_set():
            self._hurry.set()
        self.drain()

    def drain(self) -> None:
        """Drain, then end; a second call changes nothing."""
        self._told_to_stop.set()

    async def work(self) -> None:
        """Work until the order to stop, and drain; a database that is slow to answer delays no other work."""
        async with asyncio.TaskGroup() as all_of_them:
            all_of_them.create_task(self._ticking())
            all_of_them.create_task(self._refreshing())
            all_of_them.create_task(self._keeping_lease())
            all_of_them.create_task(self._drain_when_told())
        await self.crl_reissue.finished()
        await self.close()

    async def _drain_when_told(self) -> None:
        await self._told_to_stop.wait()
        try:
            if self._supervisor is not None:
                self._node.core.drain()
                await self._supervisor.drain(self._hurry)
            await Draining(self._node, self._log).run(self._hurry)
        finally:
            self._drained.set()

    async def _ticking(self) -> None:
        while not self._drained.is_set():
            self._tick()
            await _pause(self._drained)

    async def _refreshing(self) -> None:
        while not self._drained.is_set():
            await self._node.user_updates.refresh()
            if self._controller is not None:
                await self._controller.refresh_users()
                await self._controller.replicate()
            for pages in self._pages:
                await pages.follow()
            self._public_ca.follow()
            await _pause(self._drained)

    async def _keeping_lease(self) -> None:
        """Claim the lease of the management pool at intervals, if this is a management server."""
        controller = self._controller
        if controller is None:
            return
        while not self._drained.is_set():
            await controller.leadership.keep()
            self._reissue_as_leader(controller)
            await _pause(self._drained)
        await controller.leadership.release()

    def _reissue_as_leader(self, controller: Controller) -> None:
        """Check the CRLs soon after this server began to lead: those of the leader before have lower numbers."""
        leads = controller.leadership.leads
        if leads and not self._led:
            self.crl_reissue.soon()
        self._led = leads

    async def _look_up_neighbours(self) -> None:
        """Resolve at intervals the names of servers and partners in the topology."""
        while True:
            await self._node.neighbours.look_up(self._node.resolver)
            await asyncio.sleep(LOOK_UP_EVERY_S)

    def _tick(self) -> None:
        self._node.tick()
        now = self._node.loop.time()
        self.crl_reissue.tick(now, datetime.now(UTC))
        if now - self._replaced_at >= REPLACE_EVERY_S:
            self._replaced_at = now
            self._node.certificates.replace_links(datetime.now(UTC))
        if now - self._warned_at >= WARN_EVERY_S or not self._warned_at:
            self._warned_at = now
            self._warn(datetime.now(UTC))
        self._reading.look_again()
        if self.control_plane is not None:
            self.control_plane.tick()

    def _warn(self, at: datetime) -> None:
        """Log what expires soon or has expired, for example our own certificate, if it expired while the server was off."""
        if self._node.certificates.would_change(at):
            self._reading.reload()
        for entry in concerning(self._node, self._expiry_warnings.due(stock_of(self._node, at))):
            tell(self._log, entry, at)

    def _publishes(self) -> bool:
        return any(server.publish_lists for server in self._node.view.loaded.topology.servers)

    def _follows(self) -> bool:
        """Return whether this server of management follows another one, which leads."""
        return self._controller is not None and not self._controller.leadership.leads

    def _clocks_s(self) -> Collection[float]:
        """Return the seconds by which the clocks of other servers are ahead of ours, if management knows them."""
        return self._controller.clocks_s if self._controller is not None else ()


def workers_of(loaded: Loaded, name: str) -> int:
    """Return how many workers the server *name* has; ``auto`` is one for each CPU core that this process may use."""
    server = loaded.topology.server(name)
    asked = server.workers if server is not None else 1
    return len(os.sched_getaffinity(0)) if asked == "auto" else asked


NEW_PASSWORDS: Final = "give its users new passwords: sipmesh user password NAME"


def key_files_of(loaded: Loaded, name: str) -> list[Path]:
    """Return the private keys of the server *name*: its own, its next one, those for clients; on management signer and CA."""
    found: list[Path] = [loaded.folder / "state" / f"{name}.next-key"]
    pool, server = loaded.topology.pool_of(name), loaded.topology.server(name)
    if pool is None or server is None:
        return found
    found += [loaded.folder / file for file in server.key_files]
    if pool.role is Role.MANAGEMENT:
        found += [loaded.folder / server.signer_key_file, *sorted((loaded.folder / "ca").rglob("*.key"))]
    return found


async def _pause(stop: asyncio.Event) -> None:
    """Wait for ``TICK_S``, or until *stop* is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), TICK_S)
