"""Route a request inside a dialog to the other side, by the token in our Record-Route only.

A token is valid in one dialog only (`RouteSet.bind`). This module checks that the sender is one side of that dialog, and that
From and To are the names of both sides. A request to another pool must go on by the entry that was record-routed in this
dialog. The Request-URI must be allowed outside dialogs, or be the remote target of the other side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.dialog_token import FlowSide, PeerSide, Side, owner_hash
from sipmesh.routing.identity.privacy import hides_user, is_anonymous, leads_to_hidden_user
from sipmesh.routing.identity.route_set import RouteSet
from sipmesh.routing.identity.sender import Sender
from sipmesh.routing.outcome import Answer, Drop, Forward
from sipmesh.routing.target import AnotherNotifier, FlowTarget, Found, ServerTarget
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request
from sipmesh.sip.text import shown
from sipmesh.sip.uri import SipUri
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

NO_FLOW: Final = 0
"""Not the number of a link: links are counted from 1."""


class Behind(NamedTuple):
    """A pool or a partner as one side of a dialog.

    *names* are its servers, and *kind* is the kind of link to them. *domains* are the domains whose users it speaks for.
    *hosts* are all host names that its remote target may have.
    """

    names: tuple[str, ...]
    kind: LinkKind
    domains: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()


NOTHING: Final = Behind((), LinkKind.SERVER)

Peers = Mapping[PeerSide, Behind]


@dataclass(frozen=True, slots=True)
class Inside:
    """The facts of the topology for requests inside dialogs.

    *reserved* are the host names that mean a server or a partner in a Request-URI outside dialogs. *blocked* are the blocked
    domains. *accesses* are the names of our servers that may carry the links of this pool's users.
    *translated* are the sides whose parties have other names for their peers: the gateway pools. At a gateway, they are its
    trunks and the front ends.
    """

    peers: Peers
    reserved: frozenset[str]
    blocked: frozenset[str]
    accesses: frozenset[str] = frozenset()
    translated: frozenset[Side] = frozenset()


def other_side(route_set: RouteSet, sender: Sender) -> Side | None:
    """Give the other side of the dialog; None if there is no token, or if *sender* is not the side that sent this request.

    The tags say which side has sent it. That works even if both sides are devices of one user.
    """
    token = route_set.dialog
    if token is None:
        return None
    of, to = (token.a, token.b) if route_set.from_a else (token.b, token.a)
    return to if sender.is_side(of) else None


def behind_mate(route_set: RouteSet, sender: Sender, pool: PeerSide) -> FlowSide | None:
    """Give the user to whom another server of our *pool* has passed a request on, which it got in our place (`across`).

    That server has the key of our tokens, and has judged the sender by this one.
    """
    token = route_set.dialog
    if token is None or not sender.is_side(pool):
        return None
    to = token.b if route_set.from_a else token.a
    return to if isinstance(to, FlowSide) else None


def leave_accesses(request: Request, route_set: RouteSet, other: Side | None, known: Inside) -> None:
    """Remove the Route entries of a server that carries the user at the *other* side: the flow of the user leads there.

    They are not followed, and the user may have a link of its own meanwhile.
    """
    if not isinstance(other, FlowSide):
        return
    while route_set.beyond is not None and route_set.beyond.host in known.accesses:
        request.pop_item("route")
        item = request.first_item("route")
        route_set.beyond = None if item is None else NameAddr.parse(item).sip_uri


def refused_inside(
    request: Request, route_set: RouteSet, other: Side, sender: Sender, allowed: frozenset[str], known: Inside
) -> Answer | None:
    """Refuse a request inside a dialog with a wrong From, a wrong To or a wrong Request-URI; None if it is correct.

    From may be the name at the start of the dialog, or another name that the sender may use now: names may change inside a
    dialog (RFC 4916). *allowed* are the domains that a server may speak for.
    """
    is_translated = not (route_set.sent_as and route_set.sent_to) and sender.side("") in known.translated
    is_hidden = is_translated and is_anonymous(request.from_)
    if not (route_set.sent_as or is_hidden or sender.may_speak_as(request.from_, allowed)):
        why = f"From {shown(request.from_.uri)} is not the name of its sender in this dialog"
        return Answer(403, code=Code.FROM_NOT_ALLOWED, why=why)
    hides = is_of_hidden_user(route_set)
    if not (route_set.sent_to or is_translated or (not hides and is_name_of(other, request.to, known.peers))):
        why = f"To {shown(request.to.uri)} is not the name of the other side of this dialog"
        return Answer(481, code=Code.NO_ROUTE, why=why)
    is_shown = is_translated or leads_to_hidden_user(request.uri)  # a gateway lets a trunk use the hidden Contact only
    if hides and isinstance(other, FlowSide) and hides_user(request.to) and not is_shown:
        return Answer(
            404, code=Code.NO_ROUTE, why="the other side hides, and the Request-URI is not its hidden Contact"
        )
    if route_set.is_diverted and isinstance(other, PeerSide):
        # the next pool takes this one for one side: only we know which user, partner or application of ours is in which dialog
        why = "its Route does not go on by the entry next to ours in the Record-Route of this dialog"
        return Answer(403, code=Code.NO_ROUTE, why=why)
    refused = refused_target(request.ruri, route_set, other, known)
    if refused is None and route_set.beyond is not None:
        refused = refused_routes(request, route_set.beyond, route_set, other, known)
    return refused


def is_of_hidden_user(route_set: RouteSet) -> bool:
    """Tell whether a user of the dialog hides: its initiator, or a user who was called by a temporary GRUU.

    Then the only names are those in the first From and To, and the only address of who hides is the address that it has
    shown: otherwise the other side could guess names, and see by the answer which one is right.
    """
    return route_set.dialog is not None and route_set.dialog.secret


def is_name_of(side: Side, address: NameAddr, peers: Peers) -> bool:
    """Tell whether *address* is a name of *side*: a user's own address of record, or an address in a peer's domains."""
    if not address.is_sip:
        return False
    if isinstance(side, FlowSide):
        return owner_hash(address.aor) == side.owner
    return address.sip_uri.host in peers.get(side, NOTHING).domains


def refused_target(uri: SipUri, route_set: RouteSet, other: Side, known: Inside) -> Answer | None:
    """Refuse a Request-URI that names a server or partner, unless it is the remote target of the *other* side.

    Any other host is part of a Contact. It is forwarded and never resolved.
    """
    host = uri.host
    if host in known.blocked:
        return Answer(403, code=Code.PARTNER_BLOCKED, why=f"{host} is blocked")
    if host not in known.reserved or route_set.dialog is None:
        return None
    if route_set.from_b and owner_hash(host) == route_set.dialog.begun.target:
        return None
    if isinstance(other, PeerSide) and host in known.peers.get(other, NOTHING).hosts:
        return None
    return Answer(403, code=Code.NO_ROUTE, why=f"{host} is not the address of the other side of this dialog")


def refused_routes(request: Request, first: SipUri, route_set: RouteSet, other: Side, known: Inside) -> Answer | None:
    """Refuse Route entries after our own that the other side cannot have record-routed. *first* is the first of them.

    Towards a pool or a partner, the next hop checks these entries. But an entry without ``lr`` becomes the Request-URI (RFC
    3261 section 16.6 item 6), so it must be a valid target.

    Towards a user, these entries are of a proxy behind the user: hosts that we neither know nor resolve. There is no server,
    partner or strict router behind a phone.
    """
    if isinstance(other, PeerSide):
        return None if first.has("lr") else refused_strict(first, route_set, other, known)
    for route in request.routes:
        uri = route.sip_uri if route.is_sip else None
        if uri is None or not uri.has("lr") or uri.headers:
            return Answer(
                403, code=Code.NO_ROUTE, why=f"{shown(route.uri)} is not a loose route, and it follows a user"
            )
        if uri.host in known.reserved or uri.host in known.blocked:
            return Answer(403, code=Code.NO_ROUTE, why=f"its Route leads to {uri.host}, after a user")
    return None


def refused_strict(uri: SipUri, route_set: RouteSet, other: Side, known: Inside) -> Answer | None:
    """Refuse a Route entry that becomes the Request-URI, if it is not a valid target; None if it is valid."""
    if uri.headers:
        return Answer(400, code=Code.NO_ROUTE, why="a strict route with headers would become the Request-URI")
    return refused_target(uri, route_set, other, known)


def across(request: Request, route_set: RouteSet, other: Side, peers: Peers, incarnation: int) -> Forward | Answer:
    """Route a request to the *other* side of its dialog. The Contact in its Request-URI is forwarded, never resolved.

    If no server of that side can be reached, a SUBSCRIBE gets 481: the subscription is lost, and the phone begins a new one at
    once (RFC 6665 section 4.1.2.2). After a 503 it would keep the old one until that expires.
    """
    if isinstance(other, FlowSide):
        if route_set.skipped and other.incarnation != incarnation:
            return to_mate(request, route_set, other)
        return to_flow(request, other, incarnation, Found.DIALOG)
    behind = peers.get(other, NOTHING)
    names, kind = behind.names, behind.kind
    if not names:
        return Answer(403, code=Code.NO_ROUTE, why="the other side of this dialog was removed from the topology")
    instead = None
    if route_set.past is not None and route_set.past.pool == other:  # that server may be down, and its user here now
        user, entries = route_set.past.side, route_set.past.entries
        instead = FlowTarget(NO_FLOW, user.owner, request.uri, found=Found.DIALOG, past=entries)
    is_lost = request.method == "SUBSCRIBE" and kind is LinkKind.SERVER
    again = AnotherNotifier(request.ruri.aor, None, frozenset(names)) if is_lost else None
    hosts = likeliest(names, request, route_set)
    return Forward((ServerTarget(hosts, kind, request.uri, instead=instead, again=again),), None)


def to_mate(request: Request, route_set: RouteSet, side: FlowSide) -> Forward:
    """Send a request that reached us in place of another server of our pool to that server, which has the flow of the user.

    If that server cannot be reached, or has no flow of the user any more, the user may be here.
    """
    server = NameAddr.parse(route_set.skipped[0]).sip_uri.host
    for entry in reversed(route_set.skipped):
        request.prepend("route", entry)
    here = FlowTarget(NO_FLOW, side.owner, request.uri, found=Found.DIALOG, past=len(route_set.skipped))
    return Forward((ServerTarget((server,), LinkKind.SERVER, request.uri, instead=here),), None)


def likeliest(names: tuple[str, ...], request: Request, route_set: RouteSet) -> tuple[str, ...]:
    """Order the servers of a side. First: the server that record-routed, or at a partner the domain of To."""
    if len(names) == 1:
        return names
    hints = (route_set.beyond.host if route_set.beyond else "", host_of(request.to.uri))
    return tuple(sorted(names, key=lambda name: hints.index(name) if name in hints else len(hints)))


def to_flow(request: Request, side: FlowSide, incarnation: int, found: Found) -> Forward | Answer:
    """Send a request down a flow of this server; 430 if the flow is gone (RFC 5626 section 5.3.1).

    A dialog may continue after a restart of this server: its user is looked up again.
    """
    if side.incarnation == incarnation:
        return Forward((FlowTarget(side.number, side.owner, request.uri, found=found),), None)
    if found is Found.DIALOG:
        return Forward((FlowTarget(NO_FLOW, side.owner, request.uri, found=found),), None)
    return Answer(430, "Flow Failed", code=Code.NO_ROUTE, why="the flow belongs to an earlier start of this server")


def acknowledge(
    request: Request,
    route_set: RouteSet,
    other: Side | None,
    sender: Sender,
    allowed: frozenset[str],
    known: Inside,
    incarnation: int,
) -> Forward | Drop:
    """Route the ACK of a 2xx to the *other* side of its dialog. Other ACKs belong to their transactions. No ACK is answered."""
    if other is None:
        return Drop("an ACK outside the known dialogs")
    refused = refused_inside(request, route_set, other, sender, allowed, known)
    outcome = refused if refused is not None else across(request, route_set, other, known.peers, incarnation)
    return outcome if isinstance(outcome, Forward) else Drop(outcome.why)


def unbound(request: Request, route_set: RouteSet) -> Answer | None:
    """Refuse a request that needs a dialog token of ours but has none; None if it needs none.

    We record-route each request that opens a dialog. So a request inside a dialog without our token, or from a link that is
    not a side of the dialog, comes from an attacker: with the right tags it could end or take over a call. And a token is
    not valid outside its dialog.
    """
    if route_set.beyond is not None:
        return Answer(
            403, code=Code.NO_ROUTE, why=f"its Route leads to {route_set.beyond.host}: this server is not an open relay"
        )
    if request.to.tag is not None:
        return Answer(481, code=Code.NO_ROUTE, why="it has a To tag, but this link does not belong to the dialog")
    if route_set.stray or route_set.dialog is not None:
        return Answer(
            403,
            code=Code.NO_ROUTE,
            why="the token in its Route belongs to another dialog, or to neither side of this dialog",
        )
    return None


def host_of(uri: str) -> str:
    """Give the host of a SIP URI; "" for any other text."""
    try:
        return SipUri.parse(uri).host
    except RemoteError:
        return ""
