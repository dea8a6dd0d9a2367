"""Which SUBSCRIBE, NOTIFY and REFER a phone of this server gets, or the watcher of a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.events.reference import EARLY_REFERENCE
from sipmesh.routing.outcome import (
    Answer,
    Forward,
    ToUser,
)
from sipmesh.routing.proxy.effects import Start
from sipmesh.routing.target import FlowTarget
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.routing.target import Target
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.sip.message import Request


class PhoneEvents:
    """Judges requests about events that are on their way to a phone at this server, or from one."""

    def __init__(self, flow_table: FlowTable, events: EventServer, siblings: OtherProcesses) -> None:
        self._flow_table, self._events, self._siblings = flow_table, events, siblings

    def __repr__(self) -> str:
        return f"<PhoneEvents {self._flow_table!r}>"

    def refused(self, flow: Flow, request: Request, outcome: Forward) -> Answer | None:
        """Refuse a SUBSCRIBE, NOTIFY or REFER that a phone, or the watcher of a phone, may not get; None if it may pass."""
        if request.method == "REFER":
            return self.refused_early(request, outcome)
        owner = self._owner_of(outcome.targets[0])
        if request.method == "SUBSCRIBE":
            return self._events.refused(request, ToUser(owner, outcome.identity)) if owner else None
        is_of_phone = flow.link.kind is LinkKind.CLIENT
        return self._events.refused_notify(request, outcome, owner, is_of_phone=is_of_phone)

    def _owner_of(self, target: Target) -> str:
        """Give the user whose phone at this server is the *target*; "" if it is none."""
        return self._flow_table.user_at(target) if isinstance(target, FlowTarget) else ""

    def refused_early(self, request: Request, outcome: Forward) -> Answer | None:
        """Refuse a REFER to a phone of this server inside a call that still rings: nobody has accepted the call yet."""
        target = outcome.targets[0]
        reached = self._flow_table.find(Start(0, target)) if isinstance(target, FlowTarget) else None
        if reached is None:
            return None
        rings = self._siblings.rings(reached.carrier or reached, request.call_id)
        return EARLY_REFERENCE if rings else None
