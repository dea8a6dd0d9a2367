"""The decision about a request, by the role of this server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.identity.route_set import Names, RouteSet
from sipmesh.routing.roles import edge, front_end, gateway, management

if TYPE_CHECKING:
    from sipmesh.routing.identity.sender import Sender
    from sipmesh.routing.outcome import Outcome
    from sipmesh.sip.message import Request

Facts = front_end.FrontEndFacts | edge.EdgeFacts | gateway.GatewayFacts | Names
"""What a role knows of the topology: a front end, an edge, a gateway, or management, which knows its own names."""


def decide(request: Request, route_set: RouteSet, sender: Sender, facts: Facts) -> Outcome:
    """Decide what to do with *request*. Its Route entries for this server were removed, and are in *route_set*."""
    match facts:
        case front_end.FrontEndFacts():
            return front_end.decide(request, route_set, sender, facts)
        case edge.EdgeFacts():
            return edge.decide(request, route_set, sender, facts)
        case gateway.GatewayFacts():
            return gateway.decide(request, route_set, sender, facts)
    return management.decide(request, route_set, sender, facts)
