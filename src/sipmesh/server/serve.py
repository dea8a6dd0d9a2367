"""Run one server until it is told to stop: signals, the control socket, changed files, renewed lists."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sipmesh.errors import OperatorError
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.server.collector import Collector
from sipmesh.server.control import SOCKET_SUFFIX, Control
from sipmesh.server.endings import Endings, concerning, stock_of, tell
from sipmesh.server.node import Node
from sipmesh.server.operator import Operator
from sipmesh.server.posts import post_for
from sipmesh.server.reading import Reading
from sipmesh.server.source import source_of
from sipmesh.transport.loop import run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sipmesh.server.fetching import Fetching
    from sipmesh.server.log import Log
    from sipmesh.server.metrics import MetricsPage
    from sipmesh.topology.document import Loaded

TICK_S = 0.5
"""How often deadlines are swept, and files are looked at though nothing was heard of them; twice alike, and they are read.

The kernel tells of a change at once, but not of one that another machine makes to a network file system.
"""

REISSUE_EVERY_S = 3600.0
REPLACE_EVERY_S = 5.0
"""How often links that we opened under a certificate that is about to end are looked at."""

WARN_EVERY_S = 60.0
"""How often certificates and lists are looked at for what is near its end; each is told of once a day."""


def serve(file: Path, name: str, log: Log, ready: Callable[[Node], None] | None = None) -> None:
    """Run the server *name* of the topology in *file*; returns after SIGTERM or SIGINT, when everything is drained.

    Raises `OperatorError` where the topology, a certificate, a key or a port cannot be used.
    """
    run(Service(file, name, log).serve(ready))


class Service:
    """One server with everything around it."""

    def __init__(self, file: Path, name: str, log: Log) -> None:
        self._file, self._name, self._log = file, name, log
        self._reissued_at = self._replaced_at = self._warned_at = 0.0
        self._endings = Endings()
        self._page: MetricsPage | None = None
        self.fetching: Fetching | None = None

    def __repr__(self) -> str:
        return f"<Service {self._name} of {self._file}>"

    async def serve(self, ready: Callable[[Node], None] | None = None) -> None:
        """Start, tell *ready*, serve, and drain."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._fault)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        source = source_of(self._file, self._name)
        self._node = node = Node(self._file, self._name, self._log, loaded=source.load())
        node.on_taking = self._follow_sources
        self._follow_sources(node.view.loaded)
        self._reading = reading = Reading(node, source, loop, self._log)
        self._post = post = post_for(node, source, reading, self._log)
        operator = Operator(node, reload=reading.reload, look=reading.look)
        commands = {**operator.commands(), **(post.commands() if post is not None else {})}
        control = Control(node.state / f"{node.view.name}{SOCKET_SUFFIX}", commands, self._log)
        loop.add_signal_handler(signal.SIGHUP, reading.reload)
        try:
            node.start()
            await control.open()
            await self._open_page(node)
            self._collector = Collector(loop.time())
            self._collector.begin()
            if post is not None:
                post.begin()
            self._log.info("serving", server=node.view.name, role=node.view.role, version=node.view.loaded.number)
            if ready is not None:
                ready(node)
            await self._until(stop)
        finally:
            reading.close()
            if post is not None:
                post.close()
            if self.fetching is not None:
                await self.fetching.close()
            if self._page is not None:
                await self._page.close()
            await control.close()
            await node.drain()
            self._log.info("stopped", server=node.view.name)

    def _follow_sources(self, loaded: Loaded) -> None:
        """Fetch what a topology names; where it names nothing, what that needs is not even loaded."""
        if self.fetching is None:
            if not loaded.fetches:
                return
            from sipmesh.server.fetching import Fetching

            self.fetching = Fetching(self._node, self._look, self._log)
            self._node.supplies = self.fetching.supplies
        self.fetching.follow(loaded)

    def _look(self, files: Collection[Path]) -> object:
        return self._reading.look(files)

    async def _open_page(self, node: Node) -> None:
        """Show figures where the topology says so; elsewhere what they need is not even loaded."""
        if node.view.metrics is not None:
            from sipmesh.server.metrics import MetricsPage

            self._page = MetricsPage(node)
            await self._page.open()

    def _fault(self, _loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
        """Log a fault of ours; whatever it was about is given up, the rest of the server goes on."""
        self._log.error("fault", what=told.get("message"), exc_info=told.get("exception"))

    async def _until(self, stop: asyncio.Event) -> None:
        """Work until told to stop; a database that is slow to answer holds up nothing else."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._ticking(stop))
            both.create_task(self._refreshing(stop))

    async def _ticking(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._tick()
            await _pause(stop)

    async def _refreshing(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._node.refresh_users()
            if self._post is not None:
                await self._post.refresh()
            await _pause(stop)

    def _tick(self) -> None:
        self._node.dispatch.tick()
        now = self._node.loop.time()
        self._collector.tick(now, busy=self._node.dispatch.load > 0)
        if now - self._reissued_at >= REISSUE_EVERY_S or not self._reissued_at:
            self._reissued_at = now
            self._reissue_lists()
        if now - self._replaced_at >= REPLACE_EVERY_S:
            self._replaced_at = now
            self._node.replace_links(datetime.now(UTC))
        if now - self._warned_at >= WARN_EVERY_S or not self._warned_at:
            self._warned_at = now
            self._warn(datetime.now(UTC))
        self._reading.look_again()
        if self._post is not None:
            self._post.tick()

    def _warn(self, at: datetime) -> None:
        """Say what is near its end, or past it: such as our own certificate, if it ended while we were off."""
        if self._node.would_show(at):
            self._reading.reload()
        for entry in concerning(self._node, self._endings.due(stock_of(self._node, at))):
            tell(self._log, entry, at)

    def _reissue_lists(self) -> None:
        """Where this server has the CA folder, keep its lists young: every day a new one is signed."""
        folder = self._node.view.loaded.folder / "ca"
        if not (folder / "ledger.db").is_file():
            return
        try:
            renewed = EnterpriseCa.open(folder).reissue(datetime.now(UTC))
        except OperatorError as wrong:
            self._log.warning("lists not reissued", why=str(wrong))
            return
        if renewed:
            self._log.info("lists reissued", lists=[path.name for path in renewed])


async def _pause(stop: asyncio.Event) -> None:
    """Wait for the next tick, or less if told to stop."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), TICK_S)
