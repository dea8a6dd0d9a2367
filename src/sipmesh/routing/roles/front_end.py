"""How a front end routes: it authenticates and registers users, and routes by domain, never by address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sipmesh.routing.content_indirection import refused_indirection
from sipmesh.routing.events.packages import is_notified
from sipmesh.routing.identity import assertion
from sipmesh.routing.identity.border import INSIDE
from sipmesh.routing.identity.dialog import (
    Inside,
    acknowledge,
    across,
    behind_mate,
    leave_accesses,
    other_side,
    refused_inside,
    to_flow,
    unbound,
)
from sipmesh.routing.identity.dialog_token import FlowSide, FlowToken, Side, owner_hash
from sipmesh.routing.identity.home_rule import HomeRule
from sipmesh.routing.identity.privacy import hides_user, unmet
from sipmesh.routing.identity.route_set import Names, RouteSet
from sipmesh.routing.identity.sender import ClientSender, Sender, ServerSender
from sipmesh.routing.numbers.e164 import dialled_number
from sipmesh.routing.numbers.number_routes import with_trunks
from sipmesh.routing.numbers.site_plans import EmergencyGateways, SitePlan, SitePlans
from sipmesh.routing.outcome import (
    Answer,
    Drop,
    Forward,
    Outcome,
    Prove,
    Register,
    Serve,
    ToContact,
    ToUser,
    attributed,
)
from sipmesh.routing.registrar.device import RegisteredContact, contact_address, is_like_a_contact
from sipmesh.routing.registrar.gruu import Gruus, OpenedGruu, is_gruu, pool_of, public_device
from sipmesh.routing.roles.access import carried
from sipmesh.routing.roles.options import registrar_capabilities
from sipmesh.routing.roles.users_requests import refused_of_users, refused_package
from sipmesh.routing.target import AnotherNotifier, Found, ServerTarget
from sipmesh.sip.message import Request
from sipmesh.sip.rows import PRIVACY
from sipmesh.sip.service_urn import service_in
from sipmesh.sip.tel import NO_DOMAIN
from sipmesh.sip.text import shown
from sipmesh.sip.uri import SipUri
from sipmesh.topology.server_choice import ServerChoice
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import BORDERS, Role

NO_DOMAINS: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class FrontEndFacts:
    """The facts of the topology that a front end needs.

    *pool* is its own pool. *entrances* are the front-end pools that edges forward requests to. *applications* maps the names
    of application servers and pools to their servers, *homes_of_applications* the names of all others to the pool before them.
    *route* are the edges to partners, and *partner_domains* the domains of these partners and the names of all *trunks*.
    *numbers* says how numbers are typed at each site. *emergency_gateways* are those for the emergency calls of each site, none
    if no trunk takes such calls; *gateways* has the pool of each gateway.
    *gruus* opens the temporary GRUUs of its pool. *pools* maps the hash in one to another front-end pool, and *homes* has the
    servers of each such pool. *home_rule* says whom their servers may speak for. *screeners* are the applications that screen
    calls.
    """

    names: Names
    domains: frozenset[str]
    pool: str
    entrances: frozenset[str]
    applications: Mapping[str, tuple[str, ...]]
    homes_of_applications: Mapping[str, str]
    route: ServerChoice
    partner_domains: frozenset[str]
    trunks: frozenset[str]
    numbers: SitePlans
    emergency_gateways: Mapping[str, EmergencyGateways]
    gateways: Mapping[str, str]
    blocked: frozenset[str]
    inside: Inside
    incarnation: int
    gruus: Gruus
    pools: Mapping[bytes, str]
    homes: Mapping[str, ServerChoice]
    home_rule: HomeRule
    screeners: frozenset[str] = NO_DOMAINS


def decide(request: Request, route_set: RouteSet, sender: Sender, facts: FrontEndFacts) -> Outcome:
    """Decide what to do with *request*. Its Route entries for this server were removed, and are in *route_set*."""
    flow = route_set.flow
    passed = carried(request, route_set, sender, facts.incarnation) if flow is None else None
    if flow is not None:
        passed = to_own_flow(request, flow, sender, facts)
    if passed is not None:
        return passed
    other: Side | None = None
    if route_set.dialog is not None:
        other = other_side(route_set, sender) or behind_mate(route_set, sender, facts.names.pool)
    if facts.inside.accesses:
        leave_accesses(request, route_set, other, facts.inside)
    if request.method == "ACK":
        allowed = may_speak_for_inside(sender, facts)
        onward = acknowledge(request, route_set, other, sender, allowed, facts.inside, facts.incarnation)
        return onward if other is None else inside_gruu(request, other, onward, facts, None)
    if request.method == "SUBSCRIBE" and is_to_notifier(request, route_set, facts):
        return subscribe_again(request, route_set, sender, facts)
    if request.method == "REGISTER":
        return register(request, sender, facts)
    if request.method == "OPTIONS" and other is None and request.ruri.user is None and facts.names.ours(request.ruri):
        return registrar_capabilities(request)
    return carry(request, route_set, other, sender, facts)


def is_to_notifier(request: Request, route_set: RouteSet, facts: FrontEndFacts) -> bool:
    """Tell whether a SUBSCRIBE may be inside a subscription to one of our users, of which a server of our pool is the notifier.

    Such a dialog begins and ends at that server, so there is no token in its Route.
    """
    if request.to.tag is None or route_set.dialog is not None or route_set.stray:
        return False
    beyond, uri = route_set.beyond, request.ruri
    is_near = beyond is None or beyond.host in facts.names.mates
    return is_near and uri.host in facts.domains and uri.user is not None


def subscribe_again(request: Request, route_set: RouteSet, sender: Sender, facts: FrontEndFacts) -> Outcome:
    """Give a SUBSCRIBE to the notifier, here or at the server of our pool that its Route names, with its proved sender."""
    who = identify(request, sender, facts)
    if not isinstance(who, str):
        return who
    if route_set.beyond is None:
        return Serve(request.ruri.aor, who)
    notifier = route_set.beyond.host
    again = AnotherNotifier(request.ruri.aor, who, frozenset({notifier}))
    return Forward((ServerTarget((notifier,), LinkKind.SERVER, request.uri, again=again),), who)


def carry(request: Request, route_set: RouteSet, other: Side | None, sender: Sender, facts: FrontEndFacts) -> Outcome:
    """Check the identity of the sender, and route: to the *other* side of a dialog, or by the domain."""
    if other is not None:
        return carry_inside(request, route_set, other, sender, facts)
    who = identify(request, sender, facts)
    if isinstance(who, (Answer, Prove)):
        return who
    refused = refused_of_users(request, sender)
    return refused or route(request, route_set, sender, facts, who)


def carry_inside(request: Request, route_set: RouteSet, other: Side, sender: Sender, facts: FrontEndFacts) -> Outcome:
    """Forward a request inside its dialog. Names and Request-URI must be allowed there (`refused_inside`)."""
    allowed = may_speak_for_inside(sender, facts)
    refused = refused_inside(request, route_set, other, sender, allowed, facts.inside)
    refused = refused or refused_of_users(request, sender)
    if refused is not None:
        return refused
    if isinstance(sender, ServerSender):
        if sender.peer.pool in facts.screeners and route_set.sent_as:
            drop_repeated(request, sender, allowed)
            refused = refused_for_another(request, sender, allowed)
        refused = refused or facts.home_rule.refused(request, sender, is_named=route_set.sent_as)
    who = refused or assertion.in_dialog(request, route_set, sender, allowed)
    if isinstance(who, Answer):
        return who
    onward = attributed(across(request, route_set, other, facts.inside.peers, facts.incarnation), who)
    return inside_gruu(request, other, onward, facts, who)


def drop_repeated(request: Request, sender: ServerSender, allowed: frozenset[str]) -> None:
    """Remove what a proxy that screens calls repeats of our own assertions. From is the name with which the dialog began."""
    if not all(sender.may_use(name, allowed) for name in assertion.asserted(request)):
        request.remove(assertion.ASSERTED)


def refused_for_another(request: Request, sender: ServerSender, allowed: frozenset[str]) -> Answer | None:
    """Let an application that has the name of a user inside a call send no more than a user may; None unless it is refused.

    Fields at which a phone acts by itself are removed. A NOTIFY such as `talk` gets 481, and a body that is elsewhere 415.
    """
    if sender.may_speak_as(request.from_, allowed):
        return None
    for name in INSIDE:
        request.remove(name)
    unsolicited = refused_package(request) if request.method == "NOTIFY" else None
    return unsolicited or refused_indirection(request)


def identify(request: Request, sender: Sender, facts: FrontEndFacts) -> str | Answer | Prove:
    """Give the identity of a request outside dialogs (rule R10)."""
    if isinstance(sender, ServerSender):
        who = assertion.of_server(request, sender, may_bring(request, sender, facts))
        return who if isinstance(who, Answer) else facts.home_rule.refused(request, sender) or who
    lacking = unmet(request) if request.present & PRIVACY else ""
    if lacking:
        return Answer(500, "Privacy Not Provided", why=f"critical privacy of the kind {lacking} is not provided")
    return assertion.of_client(request, sender, facts.domains)


def may_speak_for_inside(sender: Sender, facts: FrontEndFacts) -> frozenset[str]:
    """Give the domains that a server may speak for inside dialogs. A client has none: it speaks for its own users."""
    return may_pass_on(sender, facts) if isinstance(sender, ServerSender) else NO_DOMAINS


def may_pass_on(sender: ServerSender, facts: FrontEndFacts) -> frozenset[str]:
    """Give the domains of the identities that a server may assert to us on a flow or in a dialog.

    An edge does not know which front end has a flow. So another front end may also forward requests of partners that an edge
    has accepted, but only to flows and inside dialogs.
    """
    if sender.peer.role is Role.FRONT_END:
        return sender.peer.asserts | facts.partner_domains
    return sender.peer.asserts


def may_bring(request: Request, sender: ServerSender, facts: FrontEndFacts) -> frozenset[str]:
    """Give the domains of the identities that a server may assert to us outside dialogs.

    An edge knows only one front-end pool, its next hop. Only the front ends of such a pool may forward requests of partners to
    us, and only for users of our domains. Such requests do not leave our network again. So may the servers of our own pool
    with what is for the notifier, which is one of them.
    """
    uri = request.ruri
    if sender.peer.pool == facts.pool and sender.peer.role is Role.FRONT_END and is_notified(request):
        return may_pass_on(sender, facts)
    entered = sender.peer.pool != facts.pool and sender.peer.pool in facts.entrances
    entered = entered and sender.peer.role is Role.FRONT_END
    if entered and assertion.is_of_us(uri, facts.domains) and uri.user is not None:
        return sender.peer.asserts | facts.partner_domains
    return sender.peer.asserts


def register(request: Request, sender: Sender, facts: FrontEndFacts) -> Outcome:
    """Let a client register the address of record that it has proved (RFC 3261 section 10.3). Refuse servers.

    To may be an alias. The registration is that of its user.
    """
    if isinstance(sender, ServerSender):
        return Answer(403, code=Code.ROLE_NOT_ALLOWED, why=f"REGISTER from {sender.peer.name}: only clients register")
    address = assertion.sip_uri(request.to)
    if address is None or address.host not in facts.domains or not facts.names.ours(request.ruri):
        why = f"REGISTER of {shown(request.to.uri)} at {shown(request.uri)}: not a SIP domain of this network"
        return Answer(404, code=Code.NO_ROUTE, why=why)
    if address.aor in sender.users:
        return Register(address.aor)
    user = assertion.user_of(address, sender)
    return Register(user) if user in sender.users else assertion.proof_of(user, 401, sender)


def to_own_flow(request: Request, flow: FlowToken, sender: Sender, facts: FrontEndFacts) -> Outcome:
    """Send a request down the flow that a server of our pool has named, without a second look-up (RFC 5626 section 5.3)."""
    if not isinstance(sender, ServerSender) or sender.peer.pool != facts.pool:
        return Answer(403, code=Code.NO_ROUTE, why="the peer named a flow of this server, and is not in its pool")
    if request.method in {"ACK", "REGISTER"}:
        return (
            Drop("this method is not allowed on a flow")
            if request.method == "ACK"
            else register(request, sender, facts)
        )
    who = assertion.of_server(request, sender, may_pass_on(sender, facts))
    return (
        who if isinstance(who, Answer) else attributed(to_flow(request, flow.side, facts.incarnation, Found.TOKEN), who)
    )


def route(request: Request, route_set: RouteSet, sender: Sender, facts: FrontEndFacts, who: str | None) -> Outcome:
    """Find the next hop of a request outside dialogs. *who* is its identity."""
    refused = unbound(request, route_set)
    if refused is not None:
        return refused
    uri = request.ruri
    if service_in(uri):
        refused = with_number(request, sender, facts, who)
        if refused is not None:
            return refused
        uri = request.ruri
    if isinstance(sender, ServerSender) and sender.peer.role is Role.APPLICATION and facts.names.ours(uri):
        uri = in_only_domain(request, facts)
    if assertion.is_of_us(uri, facts.domains) and uri.user is not None:
        if request.method == "INVITE" and facts.emergency_gateways and may_leave(sender):
            site = site_of(who, facts)
            digits = site.plan.emergency_number(uri)
            if digits:
                return to_emergency(request, digits, site, facts, who)
        if uri.params and is_gruu(uri):
            return to_gruu(uri, request, sender, facts, who)
        return ToUser(uri.aor, who)
    return beyond_users(request, uri, sender, facts, who)


def in_only_domain(request: Request, facts: FrontEndFacts) -> SipUri:
    """Give the Request-URI of an application that calls a user at the name of a server, as many do, in our only SIP domain."""
    uri = request.ruri
    if uri.user is not None and uri.host not in facts.domains and len(facts.domains) == 1:
        request.set_uri(f"sip:{uri.user}@{min(facts.domains)}")
    return request.ruri


def site_of(who: str | None, facts: FrontEndFacts) -> SitePlan:
    """Give how numbers are typed at the site of the caller *who*."""
    return facts.numbers.of(who, facts.home_rule.home_of(who) if who is not None else "")


def with_number(request: Request, sender: Sender, facts: FrontEndFacts, who: str | None) -> Answer | None:
    """Have a call to a service URN be one to the number of the emergency service at the caller's site, as if it was typed.

    From here on nothing tells both apart. None unless the request is refused: there is no other service, and only calls of users
    and applications of ours are emergency calls.
    """
    called = shown(request.uri)
    number = site_of(who, facts).plan.emergency_number(request.ruri) if may_leave(sender) else ""
    if not number:
        return Answer(404, code=Code.NO_ROUTE, why=f"{called} is no emergency service that this sender may call here")
    if request.method != "INVITE":
        why = f"{request.method} for {called}: an emergency service is called by an INVITE"
        return Answer(405, headers=(("Allow", "INVITE, ACK, CANCEL"),), code=Code.NO_ROUTE, why=why)
    domain = (who or "").rpartition("@")[2]
    request.set_uri(f"sip:{number}@{domain if domain in facts.domains else min(facts.domains)};user=phone")
    return None


def to_emergency(request: Request, number: str, site: SitePlan, facts: FrontEndFacts, who: str | None) -> Forward:
    """Send an emergency call to the gateways whose trunks take it. No user, class of numbers or missing number hinders it.

    It carries the location of the site and no location of the phone (RFC 6442 section 4.1).
    """
    if site.location:
        for name in ("geolocation", "geolocation-routing"):
            request.remove(name)
        request.append("geolocation", f"<{site.location}>")
        request.append("geolocation-routing", "yes")
    gateways = facts.emergency_gateways[site.name]
    uri = with_trunks(f"sip:{number}@{min(facts.domains)};user=phone", gateways.trunks)
    servers = tuple(gateways.servers)
    pools = tuple(facts.gateways[server] for server in servers)
    return Forward((ServerTarget(servers, LinkKind.SERVER, uri, pools=pools),), who)


def to_gruu(uri: SipUri, request: Request, sender: Sender, facts: FrontEndFacts, who: str | None) -> Outcome:
    """Route a request to the device that a GRUU names (RFC 5627 section 5.4); 404 for a GRUU that no server of ours has made.

    To is the name of the callee in the whole call. So a request for a temporary GRUU must not name a user in To: the callee would
    speak under that name, and be asserted with it.
    """
    device = public_device(uri)
    if device is not None:
        return ToUser(uri.aor, who, device)
    if not hides_user(request.to):
        return Answer(404, code=Code.NO_ROUTE, why="the request is for a temporary GRUU, and To names a user")
    opened = facts.gruus.open(uri)
    if opened is not None:
        return ToUser(opened.aor, who, opened.device)
    home = facts.pools.get(pool_of(uri))
    if home is None:
        return Answer(404, code=Code.NO_ROUTE, why="no server of this network has made this temporary GRUU")
    return to_home(request, ToUser(uri.aor, who), sender, home, facts.homes[home])


def inside_gruu(request: Request, other: Side, onward: Outcome, facts: FrontEndFacts, who: str | None) -> Outcome:
    """Route a request inside a dialog to the device that its Request-URI names, if that is a GRUU of the *other* side.

    The device may have come back on another flow since the dialog began, perhaps at another server of the pool. *onward* leads to
    the flow of the dialog: for any other Request-URI, and for a device without a binding.
    """
    uri = request.ruri
    if not (is_gruu(uri) and uri.host in facts.domains and isinstance(other, FlowSide) and isinstance(onward, Forward)):
        return onward
    device = public_device(uri)
    opened = facts.gruus.open(uri) if device is None else OpenedGruu(uri.aor, device)
    if opened is None or owner_hash(opened.aor) != other.owner:
        return onward
    return ToUser(opened.aor, who, opened.device, onward)


def to_home(request: Request, outcome: ToUser, sender: Sender, home: str, servers: ServerChoice) -> Forward | Answer:
    """Send a request to the *servers* of *home*, the home pool of its user, which is another pool than ours.

    A request from another front end is refused: a pool accepts requests only for its own users. So pools that disagree about
    a home pool do not send a request in circles.
    """
    if isinstance(sender, ServerSender) and sender.peer.role is Role.FRONT_END:
        why = f"{sender.peer.name} sent a request for {outcome.aor}, whose home pool is {home}"
        return Answer(404, code=Code.OTHER_HOME, why=why)
    if not servers:
        return Answer(
            404, code=Code.OTHER_HOME, why=f"{outcome.aor} has the home pool {home}, which is no longer in the topology"
        )
    target = ServerTarget(servers.turned(request.call_id), LinkKind.SERVER, request.uri)
    return Forward((target,), outcome.identity)


def beyond_users(request: Request, uri: SipUri, sender: Sender, facts: FrontEndFacts, who: str | None) -> Outcome:
    """Route a request that is not for one of our users: to an application, to a number, or by the edges to a partner."""
    if uri.host in facts.applications or uri.host in facts.homes_of_applications:
        return to_application(request, uri, sender, facts, who)
    if uri.host in facts.blocked:
        return Answer(403, code=Code.PARTNER_BLOCKED, why=f"{uri.host} is blocked")
    number = dialled_number(uri) if uri.host in facts.trunks else ""
    if number:  # called back: each trunk that carries the number may do so
        return ToUser(f"sip:{number}@{NO_DOMAIN}", who)
    if uri.host in facts.trunks or uri.host not in facts.partner_domains or not facts.route:
        return to_contact(uri, sender, facts, who)
    if not may_leave(sender):
        return Answer(
            403, code=Code.NO_ROUTE, why=f"requests from a partner to another partner are not forwarded ({uri.host})"
        )
    return Forward((ServerTarget(facts.route.turned(request.call_id), LinkKind.SERVER, request.uri),), who)


def to_application(request: Request, uri: SipUri, sender: Sender, facts: FrontEndFacts, who: str | None) -> Outcome:
    """Send a request to an application by its certified name, unless an edge or a gateway has forwarded it."""
    if not may_leave(sender):
        why = f"a partner sent a request for {uri.host}: partners reach users, and addresses of public applications"
        return Answer(403, code=Code.NO_ROUTE, why=why)
    home = facts.homes_of_applications.get(uri.host)
    if home is not None:
        return to_home(request, ToUser(uri.aor, who), sender, home, facts.homes[home])
    return Forward((ServerTarget(facts.applications[uri.host], LinkKind.SERVER, request.uri),), who)


def to_contact(uri: SipUri, sender: Sender, facts: FrontEndFacts, who: str | None) -> ToContact | Answer:
    """Route a request to a Contact that a user has registered: phones without GRUU transfer calls to one.

    Only a user who has logged in may address one, and a server of our pool for that user. The host is never resolved: the request
    goes down the flow of the Contact, or nowhere. The name of a server, a partner or a domain is not a Contact.
    """
    address = contact_address(uri) if is_like_a_contact(uri) else ""
    is_client = isinstance(sender, ClientSender)
    is_mate = isinstance(sender, ServerSender) and sender.peer.role is Role.FRONT_END and sender.peer.pool == facts.pool
    if address and (is_client or is_mate) and uri.host not in facts.inside.reserved and not facts.names.ours(uri):
        return ToContact(RegisteredContact(address, uri.port), who, asks_mates=is_client)
    if facts.names.ours(uri):
        why = f"{uri.host} is a server of this network; write one of its domains: {', '.join(sorted(facts.domains))}"
        return Answer(404, code=Code.NO_ROUTE, why=why)
    return Answer(404, code=Code.NO_ROUTE, why=f"{uri.host} is not a domain, server or partner of this network")


def may_leave(sender: Sender) -> bool:
    """Tell whether requests of this sender may go to applications and partners: those from an edge or a gateway may not."""
    return isinstance(sender, ClientSender) or sender.peer.role not in BORDERS
