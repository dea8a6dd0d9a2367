"""Forwards the ACK of a 2xx, which is a request without a transaction and without a response (RFC 3261 16.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.proxy.branch_attempt import ways_to
from sipmesh.routing.proxy.effects import Start
from sipmesh.routing.target import Target, server_of
from sipmesh.sip.framing import is_too_long

if TYPE_CHECKING:
    from sipmesh.routing.outcome import Forward
    from sipmesh.server.proxy.call_table import CallTable
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.liveness.outages import Outages
    from sipmesh.server.proxy.transactions.branch_requests import BranchRequests
    from sipmesh.sip.message import Request


class AckForwarder:
    """Sends each ACK by the first way to its target that can be used; nothing is stored."""

    def __init__(self, flow_table: FlowTable, requests: BranchRequests, outages: Outages, calls: CallTable) -> None:
        self._flow_table, self._requests, self._outages, self._calls = flow_table, requests, outages, calls

    def forward(self, came_on: Flow, request: Request, outcome: Forward, dialog: str) -> None:
        """Send the ACK of a 2xx, in the dialog of that key, to the target of its INVITE."""
        for target in outcome.targets:
            for way, name in ways_to(target):
                if self._send(came_on, request, way, name, outcome.identity):
                    self._calls.acknowledged(dialog)
                    break

    def _send(self, came_on: Flow, request: Request, way: Target, name: str, identity: str | None) -> bool:
        """Send an ACK by one way to its target; False if that way cannot be used."""
        if self._outages.names and self._outages.forbids(server_of(way, name), has_others=True):
            return False
        found = self._flow_table.find(Start(0, way, name))
        if found is None or not found.link.usable:
            return False
        copy = self._requests.make_ack(request, came_on, way, found, identity)
        data = copy.encode()
        if not found.link.has_room(len(data)) or is_too_long(copy, len(data)):
            return False
        found.link.send(data)
        return True
