"""Traces over all servers: management orders them with signed orders, and collects what the servers send."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from sipmesh.distribution.items import ItemKind
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.control_links import edges_behind
from sipmesh.server.replication.trace_order import AGAIN_EVERY_S, LASTS_S, TRACE, TraceOrder
from sipmesh.server.tracing.trace_document import TraceDocument
from sipmesh.server.tracing.trace_filter import must_be_traceable
from sipmesh.server.tracing.traced_message import TraceReply
from sipmesh.storage.audit_act import AuditAct

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from sipmesh.server.management.network import Network
    from sipmesh.server.management.order_sender import OrderSender
    from sipmesh.server.tracing.traced_message import TracedMessage
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.trust.trusted_peer import TrustedPeer

MOST_TRACES: Final = 8
MOST_WAITING: Final = 5_000
"""Messages of one trace that wait to be read."""


class NetworkTrace:
    """One trace: *what*, with *bodies* or without. Times are loop times in seconds."""

    def __init__(self, what: str, *, bodies: bool) -> None:
        self.what, self.bodies = what, bodies
        self.ends = self.ordered_at = 0.0
        self.messages: deque[TracedMessage] = deque()
        self.left_out = 0

    def add(self, document: TraceDocument) -> None:
        """Keep messages until they are read; those above `MOST_WAITING` are counted only."""
        self.left_out += document.left_out
        for message in document.traced():
            if len(self.messages) < MOST_WAITING:
                self.messages.append(message)
            else:
                self.left_out += 1

    def read(self, faults: list[str]) -> TraceReply:
        """Return what waits, in the order of time."""
        messages = sorted(self.messages, key=lambda message: message.at)
        left_out, self.left_out = self.left_out, 0
        self.messages.clear()
        return TraceReply(messages, left_out, faults)


class NetworkTraces:
    """The traces of one management server."""

    def __init__(
        self, orders: OrderSender, management_db: ManagementDb, network: Network, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._orders, self._management_db = orders, management_db
        self._network, self._loop = network, loop
        self._traces: dict[str, NetworkTrace] = {}

    def take(self, name: str, what: str, who: str, *, bodies: bool) -> TraceReply:
        """Return what all servers have traced under *name* since the last call; the first one begins the trace for *who*.

        The audit log has a line for the beginning. Raises `OperatorError` if it cannot be written, or no order can be signed.
        """
        now = self._loop.time()
        for old in [old for old, trace in self._traces.items() if trace.ends < now]:
            del self._traces[old]
        trace = self._traces.get(name)
        if trace is None or (trace.what, trace.bodies) != (what, bodies):
            trace = self._begin(name, what, who, bodies=bodies)
        trace.ends = now + LASTS_S
        faults = self._order(name, trace, now) if now - trace.ordered_at >= AGAIN_EVERY_S else []
        return trace.read(faults)

    def _begin(self, name: str, what: str, who: str, *, bodies: bool) -> NetworkTrace:
        must_be_traceable(what, name)
        if len(self._traces) >= MOST_TRACES:
            raise OperatorError(f"management has {MOST_TRACES} traces already; end one of them")
        self._management_db.audit.append(who, AuditAct.TRACE, {"what": what, "bodies": bodies}, at=now_utc())
        trace = self._traces[name] = NetworkTrace(what, bodies=bodies)
        trace.ordered_at = -AGAIN_EVERY_S
        return trace

    def _order(self, name: str, trace: NetworkTrace, now: float) -> list[str]:
        """Give each server an order; returns which servers have none, and why."""
        trace.ordered_at = now
        organisation, number = self._orders.view.organisation, self._orders.number()
        faults = []
        for member in self._network.members():
            order = TraceOrder(organisation, member.name, number, name, trace.what, trace.bodies)
            if not self._orders.send(order, TRACE, ItemKind.TRACE):
                faults.append(f"{member.name} is not linked to management: it is not traced")
        return faults

    def receive(self, peer: TrustedPeer, given: Mapping[str, object]) -> str:
        """Keep what *peer*, or an edge behind it, has traced; returns the fault of the document, or empty."""
        try:
            document = TraceDocument.read(given)
        except RemoteError as wrong:
            return str(wrong)
        if document.server != peer.name and document.server not in edges_behind(self._orders.view, peer.pool or ""):
            return f"a trace of {document.server} from {peer.name}"
        trace = self._traces.get(document.trace)
        if trace is not None:
            trace.add(document)
        return ""
