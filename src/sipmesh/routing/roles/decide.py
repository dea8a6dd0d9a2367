"""The decision about a request, by the role of this server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.identity.route_set import Names, RouteSet
from sipmesh.routing.roles import edge, front_end, gateway, management
from sipmesh.routing.roles.edge import EdgeFacts
from sipmesh.routing.roles.front_end import FrontEndFacts
from sipmesh.routing.roles.gateway import GatewayFacts

if TYPE_CHECKING:
    from sipmesh.routing.identity.sender import Sender
    from sipmesh.routing.outcome import Outcome
    from sipmesh.sip.message import Request

Facts = FrontEndFacts | EdgeFacts | GatewayFacts | Names
"""What a role knows of the topology: a front end, an edge, a gateway, or management, which knows its own names."""


def decide(request: Request, route_set: RouteSet, sender: Sender, facts: Facts) -> Outcome:
    """Decide what to do with *request*. Its Route entries for this server were removed, and are in *route_set*."""
    if isinstance(facts, FrontEndFacts):
        return front_end.decide(request, route_set, sender, facts)
    if isinstance(facts, EdgeFacts):
        return edge.decide(request, route_set, sender, facts)
    if isinstance(facts, GatewayFacts):
        return gateway.decide(request, route_set, sender, facts)
    return management.decide(request, route_set, sender, facts)
