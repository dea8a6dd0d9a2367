"""How a management server handles requests: it forwards none, and answers OPTIONS for itself only."""

from __future__ import annotations

from sipmesh.routing.identity.route_set import Names, RouteSet
from sipmesh.routing.identity.sender import Sender
from sipmesh.routing.outcome import Answer, Drop, Outcome
from sipmesh.routing.roles.options import OF_MANAGEMENT, capabilities
from sipmesh.sip.message import Request
from sipmesh.trust.code import Code


def decide(request: Request, _route_set: RouteSet, _sender: Sender, names: Names) -> Outcome:
    """Decide what to do with *request*. Requests about the network itself were handled before."""
    if request.method == "ACK":
        return Drop("a management server has no calls")
    if request.method == "OPTIONS" and request.ruri.user is None and names.ours(request.ruri):
        return capabilities(request, OF_MANAGEMENT)
    return Answer(
        403, code=Code.ROLE_NOT_ALLOWED, why=f"{request.method} to a management server, which forwards no requests"
    )
