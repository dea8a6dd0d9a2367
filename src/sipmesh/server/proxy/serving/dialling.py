"""Calls to telephone numbers that no user of ours has: to the gateways whose trunks carry the number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.numbers.number_routes import named_only, route_for, with_trunks
from sipmesh.routing.outcome import Answer, Forward, ToUser
from sipmesh.routing.roles.front_end import may_leave
from sipmesh.routing.target import ServerTarget
from sipmesh.sip.status import Status
from sipmesh.sip.uri import SipUri
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.routing.identity.sender import Sender
    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.sip.message import Request

FROM_OUTSIDE: Final = "a call of a partner or a trunk goes to users only: it leaves by no trunk"


def number_called(in_force: InForce, outcome: ToUser) -> str:
    """Give the whole number that a request calls whose *outcome* names no user; "" if it calls no number."""
    plan = in_force.plan_of(outcome.identity).plan
    return "" if outcome.device is not None else plan.whole_number(SipUri.parse(outcome.aor))


def to_trunks(
    in_force: InForce, sender: Sender, request: Request, outcome: ToUser, number: str, at: datetime
) -> Forward | Answer | None:
    """Send a call to the gateways whose trunks carry *number*, by the route of its caller; None if no trunk carries it.

    *at* is the time, for the hours of routes.
    """
    if in_force.trunks is None or not (number and in_force.trunks.carrying(number, request.call_id)):
        return None
    if not may_leave(sender):
        return Answer(Status.FORBIDDEN, code=Code.NO_ROUTE, why=FROM_OUTSIDE)
    if request.method != "INVITE":
        why = f"a {request.method} for {number}: trunks carry calls only"
        return Answer(Status.NOT_FOUND, code=Code.NO_ROUTE, why=why)
    refusal = in_force.number_refusal(number, outcome.identity)
    if refusal:
        return Answer(Status.FORBIDDEN, code=Code.NO_ROUTE, why=refusal)
    target = at_gateways(in_force, request.call_id, number, outcome.identity, at)
    if target is None:
        why = f"no trunk of the route of this call carries {number}"
        return Answer(Status.NOT_FOUND, code=Code.NO_ROUTE, why=why)
    return Forward((target,), outcome.identity)


def at_gateways(in_force: InForce, call_id: str, number: str, user: str | None, at: datetime) -> ServerTarget | None:
    """Give the gateways whose trunks carry a call of *user* to *number*, in the order of the trunks; None if no trunk does.

    If a route holds for the call, its trunks alone are tried, and the Request-URI names them for the gateway.
    """
    trunks = in_force.trunks.carrying(number, call_id) if in_force.trunks is not None else ()
    route = route_for(in_force.routes, number, user, in_force.plan_of(user).name, at) if in_force.routes else None
    trunks = trunks if route is None else named_only(trunks, route.trunks)
    pools = dict.fromkeys(trunk.gateway for trunk in trunks)
    found = [(server, pool) for pool in pools for server in in_force.view.choice_of(pool).turned(call_id)]
    if not found:
        return None
    uri = f"sip:{number}@{in_force.view.loaded.topology.sip_domains[0]};user=phone"
    uri = with_trunks(uri, [trunk.name for trunk in trunks] if route is not None else ())
    servers, pools_of = tuple(server for server, _ in found), tuple(pool for _, pool in found)
    return ServerTarget(servers, LinkKind.SERVER, uri, pools=pools_of)
