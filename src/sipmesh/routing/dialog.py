"""Send a request inside a dialog to its other side, by the token that we record-routed and by nothing else."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.routing.outcome import Answer, Drop, Forward
from sipmesh.routing.place import Place
from sipmesh.routing.sender import Sender
from sipmesh.routing.target import FlowTarget, Found, ServerTarget
from sipmesh.routing.token import FlowSide, PeerSide, Side
from sipmesh.sip.message import Request
from sipmesh.sip.uri import SipUri
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.verdict import Code

NO_FLOW: Final = 0
"""The number of no link: they are counted from 1."""

NOBODY: tuple[tuple[str, ...], LinkKind] = ((), LinkKind.SERVER)

Peers = Mapping[PeerSide, tuple[tuple[str, ...], LinkKind]]
"""The servers behind each side that a token may name, and the kind of link that leads to them."""


def other_side(place: Place, sender: Sender) -> Side | None:
    """Tell which side the dialog's other end is on, or None if there is no token or *sender* is no side of it.

    Both sides may be devices of one user: then the very link tells them apart, as long as it is the one of the beginning.
    """
    token = place.dialog
    if token is None:
        return None
    is_a, is_b = sender.is_side(token.a), sender.is_side(token.b)
    if is_a and is_b and sender.is_link_of(token.b):
        is_a = sender.is_link_of(token.a)
    if is_a:
        return token.b
    return token.a if is_b else None


def across(request: Request, place: Place, other: Side, peers: Peers, incarnation: int) -> Forward | Answer:
    """Route a request to the *other* side of its dialog; the Contact in its Request-URI is carried, never resolved."""
    if isinstance(other, FlowSide):
        return to_flow(request, other, incarnation, Found.DIALOG)
    names, kind = peers.get(other, NOBODY)
    if not names:
        return Answer(403, code=Code.NO_ROUTE, why="the other side of this dialog has left the topology")
    instead = None
    if place.past is not None and place.past.pool == other:  # its server may be gone, and the user here by now
        user, entries = place.past.side, place.past.entries
        instead = FlowTarget(NO_FLOW, user.owner, request.uri, found=Found.DIALOG, past=entries)
    return Forward((ServerTarget(likeliest(names, request, place), kind, request.uri, instead=instead),), None)


def likeliest(names: tuple[str, ...], request: Request, place: Place) -> tuple[str, ...]:
    """Order the servers of one side: first the one that record-routed, or the domain of the other user at a partner."""
    if len(names) == 1:
        return names
    hints = (place.beyond.host if place.beyond else "", host_of(request.to.uri))
    return tuple(sorted(names, key=lambda name: hints.index(name) if name in hints else len(hints)))


def to_flow(request: Request, side: FlowSide, incarnation: int, found: Found) -> Forward | Answer:
    """Send down a flow of ours, or say that it is gone (RFC 5626 section 5.3.1: 430 Flow Failed).

    A dialog may go on where its flow began before the last start of this server: if its user has come back.
    """
    if side.incarnation == incarnation:
        return Forward((FlowTarget(side.number, side.owner, request.uri, found=found),), None)
    if found is Found.DIALOG:
        return Forward((FlowTarget(NO_FLOW, side.owner, request.uri, found=found),), None)
    return Answer(430, "Flow Failed", code=Code.NO_ROUTE, why="the flow belongs to an earlier start of this server")


def acknowledge(request: Request, place: Place, other: Side | None, peers: Peers, incarnation: int) -> Forward | Drop:
    """Pass the ACK of a 2xx along its dialog; any other has been taken by its transaction, and none is answered."""
    if other is None:
        return Drop("an ACK outside any dialog of ours")
    outcome = across(request, place, other, peers, incarnation)
    return outcome if isinstance(outcome, Forward) else Drop(outcome.why)


def unbound(request: Request, place: Place) -> Answer | None:
    """Refuse a request that no token of ours binds, where it may go on only with one; None if it needs none.

    Everything that opens a dialog is record-routed here. So whatever claims to be inside one without our token, or from a
    link that is no side of it, comes from somebody else: with the right tags it could end or take over a call.
    """
    if place.beyond is not None:
        return Answer(403, code=Code.NO_ROUTE, why=f"its Route leads to {place.beyond.host}: we relay for nobody")
    if request.to.tag is not None:
        return Answer(481, code=Code.NO_ROUTE, why="it has a To tag, but this link is no side of a dialog of ours")
    return None


def turned(names: tuple[str, ...], call_id: str) -> tuple[str, ...]:
    """Turn the order of equal servers by the Call-ID, so that calls spread and one call stays together."""
    start = zlib.crc32(call_id.encode(errors="surrogateescape")) % len(names) if names else 0
    return names[start:] + names[:start]


def host_of(uri: str) -> str:
    """Give the host of a SIP URI, "" for any other."""
    try:
        return SipUri.parse(uri).host
    except RemoteError:
        return ""
