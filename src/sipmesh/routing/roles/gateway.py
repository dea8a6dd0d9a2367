"""How a gateway routes: it forwards calls between our front ends and telephone trunks, and names their parties on each side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.routing.identity import assertion
from sipmesh.routing.identity.dialog import (
    Inside,
    acknowledge,
    across,
    is_of_hidden_user,
    other_side,
    refused_inside,
    unbound,
)
from sipmesh.routing.identity.dialog_token import Side
from sipmesh.routing.identity.route_set import Names, RouteSet
from sipmesh.routing.identity.sender import ClientSender, Sender, ServerSender
from sipmesh.routing.identity.trunk_names import TrunkNames, number_beside, refused_onward
from sipmesh.routing.numbers.dial_plan import DialPlan
from sipmesh.routing.numbers.e164 import dialled_number
from sipmesh.routing.numbers.number_routes import named_first, named_only, trunks_in
from sipmesh.routing.outcome import Answer, Drop, Forward, Outcome, attributed
from sipmesh.routing.roles.options import capabilities
from sipmesh.routing.roles.users_requests import refused_of_users
from sipmesh.routing.target import ServerTarget
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request
from sipmesh.sip.text import shown
from sipmesh.topology.server_choice import ServerChoice
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.routing.numbers.trunk_table import TrunkRoute

METHODS: Final = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, NOTIFY"
"""What a trunk may send. By a REFER it would have a phone of ours call a number at our cost."""

ALLOWED: Final = frozenset(METHODS.split(", "))
LONGEST_CALLEE: Final = 128


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """The facts of the topology that a gateway needs.

    *next_hop* are the front ends behind the gateway, *pool* is the pool of the gateway. *callers* names the parties of each call.
    """

    names: Names
    pool: str
    next_hop: ServerChoice
    callers: TrunkNames
    inside: Inside
    incarnation: int


def decide(request: Request, route_set: RouteSet, sender: Sender, facts: GatewayFacts) -> Outcome:
    """Decide what to do with *request*. Its Route entries for this server were removed, and are in *route_set*."""
    if isinstance(sender, ClientSender):
        return Drop("a client") if request.method == "ACK" else Answer(403, code=Code.ROLE_NOT_ALLOWED, why="a client")
    other = other_side(route_set, sender)
    is_of_trunk = sender.kind is LinkKind.PARTNER
    if is_of_trunk and route_set.dialog is not None:
        facts.callers.enter_dialog(request, trunk_of(sender), hidden=route_set.dialog.secret)
    if request.method == "ACK":
        return acknowledge(
            request, route_set, other, sender, may_name_inside(sender, facts), facts.inside, facts.incarnation
        )
    if other is None:
        return begin(request, route_set, sender, facts)
    if is_of_trunk and request.method not in ALLOWED:
        return not_allowed(request, sender)
    return carry_inside(request, route_set, other, sender, facts)


def begin(request: Request, route_set: RouteSet, sender: ServerSender, facts: GatewayFacts) -> Outcome:
    """Decide about a request outside dialogs: a call, or an OPTIONS, by which a trunk sees that we are here."""
    is_of_trunk = sender.kind is LinkKind.PARTNER
    if request.method == "OPTIONS" and (is_of_trunk or facts.names.ours(request.ruri)):
        return capabilities(request, METHODS)
    refused = unbound(request, route_set) or refused_of_users(request, sender)
    if refused is None and request.method != "INVITE":
        refused = not_allowed(request, sender)
    return refused or (inwards if is_of_trunk else outwards)(request, sender, facts)


def not_allowed(request: Request, sender: ServerSender) -> Answer:
    """Refuse a method that is no part of a call."""
    why = f"{request.method} from {sender.peer.name}: a gateway forwards calls only"
    return Answer(405, headers=(("Allow", METHODS),), code=Code.ROLE_NOT_ALLOWED, why=why)


def carry_inside(
    request: Request, route_set: RouteSet, other: Side, sender: ServerSender, facts: GatewayFacts
) -> Outcome:
    """Forward a request inside its dialog. Names and Request-URI must be allowed there (`refused_inside`)."""
    refused = refused_inside(request, route_set, other, sender, may_name_inside(sender, facts), facts.inside)
    is_of_trunk = sender.kind is LinkKind.PARTNER
    if is_of_trunk and is_of_hidden_user(route_set) and request.ruri.host not in facts.callers.hosts:
        return Answer(404, code=Code.NO_ROUTE, why="a side hides, and the Request-URI is not the Contact that it got")
    refused = refused or refused_of_users(request, sender)
    if refused is None and request.method == "REFER":
        refused = refused_transfer(request, facts.callers.plan)
    return refused or across(request, route_set, other, facts.inside.peers, facts.incarnation)


def may_name_inside(sender: ServerSender, facts: GatewayFacts) -> frozenset[str]:
    """Give the domains of which a sender may name users inside dialogs.

    A user of ours may have forwarded a call of one trunk to another one. Then a front end of ours sends as a trunk does.
    """
    if sender.kind is LinkKind.PARTNER:
        return sender.peer.asserts
    return sender.peer.asserts.union(facts.callers.trunks.trunks)


def refused_transfer(request: Request, plan: DialPlan) -> Answer | None:
    """Refuse a REFER of a user by which a trunk would call what not everyone may call (`refused_onward`)."""
    reasons = (refused_onward(NameAddr.parse(item), plan) for item in request.items("refer-to"))
    why = next(filter(None, reasons), "")
    return Answer(403, code=Code.NO_ROUTE, why=why) if why else None


def inwards(request: Request, sender: ServerSender, facts: GatewayFacts) -> Outcome:
    """Route a call of a trunk to one of our users, by the front ends of our next hop."""
    uri, callers = request.ruri, facts.callers
    if not (facts.names.ours(uri) or assertion.is_of_us(uri, callers.domains)):
        why = f"a trunk called {shown(request.uri)}, which is not a name or address of this gateway"
        return Answer(404, code=Code.NO_ROUTE, why=why)
    if not uri.user or len(uri.user) > LONGEST_CALLEE:
        return Answer(484, code=Code.NO_ROUTE, why=f"a trunk called {shown(request.uri)}, which has no user part")
    callee = callers.callee_of(request, trunk_of(sender))
    who = callers.enter(request, trunk_of(sender))
    if isinstance(who, Answer):
        return who
    callers.name_callee(request, callee)
    return Forward((ServerTarget(facts.next_hop.turned(request.call_id), LinkKind.SERVER, request.uri),), who)


def outwards(request: Request, sender: ServerSender, facts: GatewayFacts) -> Outcome:
    """Route a call of one of our users to the trunks behind this gateway that carry its number, in their order."""
    claims = assertion.asserted(request)
    refused = assertion.refused_assertion(claims, sender, sender.peer.asserts)
    if refused is not None or not claims:
        why = "a call without the identity of a user of ours"
        return refused or Answer(403, code=Code.ASSERTION_NOT_ALLOWED, why=why)
    who = claims[0].aor
    number, callers = dialled_number(request.ruri), facts.callers
    if callers.plan.emergency_number(request.ruri):
        taking = named_first(callers.trunks.taking_emergencies(), trunks_in(request.ruri))
        takers = [trunk.name for trunk in taking if trunk.gateway == facts.pool]
        if not takers:
            return Answer(404, code=Code.NO_ROUTE, why="no trunk of this gateway takes emergency calls")
        return attributed(to_trunks(request, takers, taking), who)
    carrying = callers.trunks.carrying(number, request.call_id) if number else ()
    if named := trunks_in(request.ruri):
        carrying = named_only(carrying, named)
    trunks = [trunk for trunk in carrying if trunk.gateway == facts.pool]
    if not trunks:
        return Answer(404, code=Code.NO_ROUTE, why=f"no trunk of this gateway carries {shown(request.uri)}")
    able = [trunk.name for trunk in trunks if trunk.main_number or number_beside(request)]
    if not able:
        why = f"{who} has no number, and {trunks[0].name} has no main_number"
        return Answer(403, code=Code.FROM_NOT_ALLOWED, why=why)
    return attributed(to_trunks(request, able, carrying), who)


def to_trunks(request: Request, names: Sequence[str], carrying: Sequence[TrunkRoute]) -> Forward:
    """Forward a call to trunks of this gateway; *carrying* are those of all gateways that carry it."""
    pools = tuple(trunk.gateway for trunk in carrying)
    return Forward((ServerTarget(tuple(names), LinkKind.PARTNER, request.uri, pools=pools),), None)


def trunk_of(sender: ServerSender) -> str:
    """Give the name of a trunk: the only one in whose name it may assert."""
    return min(sender.peer.asserts)
