"""How an edge routes: it forwards requests between our front ends and partners, and carries remote users to their home pool."""

from __future__ import annotations

from dataclasses import dataclass

from sipmesh.routing.identity import assertion
from sipmesh.routing.identity.dialog import Inside, acknowledge, across, other_side, refused_inside, unbound
from sipmesh.routing.identity.dialog_token import Side
from sipmesh.routing.identity.route_set import Names, RouteSet
from sipmesh.routing.identity.sender import ClientSender, Sender, ServerSender
from sipmesh.routing.outcome import Answer, Drop, Forward, Outcome, Prove, attributed
from sipmesh.routing.roles.access import carried
from sipmesh.routing.roles.options import capabilities, registrar_capabilities
from sipmesh.routing.roles.users_requests import refused_of_users
from sipmesh.routing.target import ServerTarget
from sipmesh.sip.message import Request
from sipmesh.sip.text import shown
from sipmesh.topology.server_choice import ServerChoice
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind


@dataclass(frozen=True, slots=True)
class EdgeFacts:
    """The facts of the topology that an edge needs.

    *domains* are our SIP domains. *next_hop* are the front ends behind the edge. *partners* maps each domain of a partner to
    the name that its edge must prove: the value of `edge:`, or the domain itself (rule R9).
    """

    names: Names
    domains: frozenset[str]
    next_hop: ServerChoice
    partners: dict[str, str]
    blocked: frozenset[str]
    inside: Inside
    incarnation: int


def decide(request: Request, route_set: RouteSet, sender: Sender, facts: EdgeFacts) -> Outcome:
    """Decide what to do with *request*. Its Route entries for this server were removed, and are in *route_set*."""
    passed = carried(request, route_set, sender, facts.incarnation)
    if passed is not None:
        return passed
    if isinstance(sender, ClientSender):
        return of_remote_user(request, sender, facts)
    other = other_side(route_set, sender)
    if request.method == "ACK":
        return acknowledge(request, route_set, other, sender, sender.peer.asserts, facts.inside, facts.incarnation)
    if request.method == "REGISTER":
        return Answer(403, code=Code.ROLE_NOT_ALLOWED, why=f"REGISTER from {sender.peer.name}: only clients register")
    if request.method == "OPTIONS" and other is None and request.ruri.user is None and facts.names.ours(request.ruri):
        return capabilities(request)
    return carry(request, route_set, other, sender, facts)


def of_remote_user(request: Request, sender: ClientSender, facts: EdgeFacts) -> Answer | Prove | Drop:
    """Have a client log in at its home pool, by a REGISTER; all other requests of a client without a login are refused."""
    if request.method == "ACK":
        return Drop("an ACK of a client that has not logged in")
    if request.method == "OPTIONS" and request.ruri.user is None and facts.names.ours(request.ruri):
        return registrar_capabilities(request)  # of the home pool, to which everything of a user goes
    if request.method != "REGISTER":
        why = "a client of an edge logs in by a REGISTER first"
        return Answer(403, code=Code.NOT_AUTHENTICATED, why=why)
    address = assertion.sip_uri(request.to)
    if address is None or address.host not in facts.domains or not facts.names.ours(request.ruri):
        why = f"REGISTER of {shown(request.to.uri)} at {shown(request.uri)}: not a SIP domain of this network"
        return Answer(404, code=Code.NO_ROUTE, why=why)
    return assertion.proof_of(address.aor, 401, sender)


def carry(request: Request, route_set: RouteSet, other: Side | None, sender: ServerSender, facts: EdgeFacts) -> Outcome:
    """Check the identity of the sender, and route to the other side of the border."""
    refused = assertion.refused_assertion(assertion.asserted(request), sender, sender.peer.asserts)
    if refused is not None:
        return refused
    if other is not None:
        return carry_inside(request, route_set, other, sender, facts)
    who = assertion.of_border(request, sender)
    if isinstance(who, Answer):
        return who
    refused = refused_of_users(request, sender) or unbound(request, route_set)
    if refused is not None:
        return refused
    outcome = inwards(request, facts) if sender.kind is LinkKind.PARTNER else outwards(request, facts)
    return attributed(outcome, who)


def carry_inside(request: Request, route_set: RouteSet, other: Side, sender: ServerSender, facts: EdgeFacts) -> Outcome:
    """Forward a request inside its dialog. Names and Request-URI must be allowed there (`refused_inside`)."""
    refused = refused_inside(request, route_set, other, sender, sender.peer.asserts, facts.inside)
    refused = refused or refused_of_users(request, sender)
    if refused is not None:
        return refused
    who = assertion.of_partner_inside(request, sender)
    return attributed(across(request, route_set, other, facts.inside.peers, facts.incarnation), who)


def inwards(request: Request, facts: EdgeFacts) -> Forward | Answer:
    """Route a partner's request to one of our users, by the front ends of our next hop. Refuse all others."""
    uri = request.ruri
    if not assertion.is_of_us(uri, facts.domains) or uri.user is None:
        return Answer(
            403,
            code=Code.NO_ROUTE,
            why=f"a partner sent a request for {shown(request.uri)}: requests of partners may reach our domains only",
        )
    return Forward((ServerTarget(facts.next_hop.turned(request.call_id), LinkKind.SERVER, request.uri),), None)


def outwards(request: Request, facts: EdgeFacts) -> Forward | Answer:
    """Route a request of our own users to the partner of its domain."""
    host = request.ruri.host
    if host in facts.blocked:
        return Answer(403, code=Code.PARTNER_BLOCKED, why=f"{host} is blocked")
    if host not in facts.partners:
        return Answer(404, code=Code.NO_ROUTE, why=f"{host} is not a partner")
    return Forward((ServerTarget((facts.partners[host],), LinkKind.PARTNER, request.uri),), None)
