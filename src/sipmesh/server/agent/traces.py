"""Traces that management has ordered: this server sends it what the links show, and passes on what the edges behind it send."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError, SipmeshError
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.control_links import edges_behind
from sipmesh.server.replication.order import refused
from sipmesh.server.replication.trace_order import LASTS_S, TRACE, TraceOrder
from sipmesh.server.tracing.trace_document import TraceDocument, documents

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sipmesh.server.agent.managed_server import ManagedServer
    from sipmesh.server.log import Log
    from sipmesh.server.replication.document_store import DocumentStore
    from sipmesh.server.tracing.traced_message import TraceReply
    from sipmesh.trust.trusted_peer import TrustedPeer

READ_EVERY_S: Final = 0.25
MOST_ORDERS: Final = 8
"""Traces of management at the same time."""

MANAGEMENT: Final = "management"


class Traces:
    """The orders that are carried out. *read* asks all processes of this server, and *publish* sends a document."""

    def __init__(
        self,
        server: ManagedServer,
        documents_of: DocumentStore,
        read: Callable[[Mapping[str, object]], Awaitable[TraceReply]],
        publish: Callable[[Mapping[str, object]], None],
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._server, self._documents, self._loop, self._log = server, documents_of, loop, log
        self._read, self._publish = read, publish
        self._ends: dict[str, float] = {}
        self._numbers: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, jws: bytes) -> None:
        """Carry out an order for `LASTS_S`; raises `RemoteError` for an order that this server does not accept."""
        view, now = self._server.view, now_utc()
        order = TraceOrder.decode(self._documents.signed_by_management(jws, TRACE, view.loaded, now))
        order.must_be_for(view, now)
        if order.number <= self._numbers.get(order.trace, 0):
            return  # it came through another front end too
        is_new = order.trace not in self._ends
        if is_new and len(self._ends) >= MOST_ORDERS:
            raise refused(f"an order for more than {MOST_ORDERS} traces at once")
        self._numbers[order.trace] = order.number
        self._ends[order.trace] = self._loop.time() + LASTS_S
        if is_new:
            task = self._loop.create_task(self._carry_out(order))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End all traces."""
        for task in self._tasks:
            task.cancel()

    async def _carry_out(self, order: TraceOrder) -> None:
        asked = {"id": order.trace, "what": order.what, "bodies": order.bodies, "who": MANAGEMENT}
        try:
            while self._loop.time() < self._ends[order.trace]:
                reply = await self._read(asked)
                for document in documents(self._server.view.name, order.trace, list(reply.messages), reply.left_out):
                    self._publish(document)
                await asyncio.sleep(READ_EVERY_S)
        except SipmeshError as wrong:
            self._log.warning("a trace has ended", what=order.what, why=str(wrong))
        finally:
            del self._ends[order.trace], self._numbers[order.trace]

    def pass_on(self, peer: TrustedPeer, given: Mapping[str, object]) -> str:
        """Pass on what an edge behind us has traced; returns the fault of the document, or empty."""
        if peer.name not in edges_behind(self._server.view, self._server.view.pool.name):
            return f"{peer.name} is no edge behind {self._server.view.pool.name}"
        try:
            document = TraceDocument.read(given)
        except RemoteError as wrong:
            return str(wrong)
        if document.server != peer.name:
            return f"a trace of {document.server} from {peer.name}"
        self._publish(given)
        return ""
