"""What a management server does with a request for a user or a call: nothing. It carries none, and answers for itself alone."""

from __future__ import annotations

from sipmesh.routing.identity.route_set import Names, RouteSet
from sipmesh.routing.identity.sender import Sender
from sipmesh.routing.outcome import Answer, Drop, Outcome
from sipmesh.routing.roles.options import capabilities
from sipmesh.sip.message import Request
from sipmesh.trust.code import Code


def decide(request: Request, _place: RouteSet, _sender: Sender, names: Names) -> Outcome:
    """Decide what becomes of *request*; what is about the network itself has been taken off before."""
    if request.method == "ACK":
        return Drop("a management server has no calls")
    if request.method == "OPTIONS" and request.ruri.user is None and names.ours(request.ruri):
        return capabilities(request)
    return Answer(
        403, code=Code.ROLE_NOT_ALLOWED, why=f"{request.method} to a management server, which forwards no requests"
    )
