"""Requests, senders and facts to decide about, with nothing of them on any wire."""

from __future__ import annotations

from collections.abc import Iterable

from sipmesh.routing.binding import Binding
from sipmesh.routing.edge import EdgeFacts
from sipmesh.routing.front_end import FrontEndFacts
from sipmesh.routing.place import Names
from sipmesh.routing.sender import ClientSender, ServerSender, named_side
from sipmesh.routing.token import FlowSide, Tokens, owner_hash
from sipmesh.sip.message import Request, Response, build_request, respond
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.policy import Authority, TrustedPeer
from sipmesh.trust.revocation import RevocationLists
from sipmesh.trust.role import Role

INCARNATION = 7
OURS, POOL, EDGES = "example.test", "pool1.example.test", "sip.example.test"
FE1, FE2, EDGE, BOT = "fe1.example.test", "fe2.example.test", "edge1.example.test", "bot.example.test"
THEIRS, THEIR_EDGE = "partner.test", "sip.partner.test"
ALICE, BOB, CAROL, ERIN = (
    "sip:alice@example.test",
    "sip:bob@example.test",
    "sip:carol@example.test",
    "sip:erin@partner.test",
)

TOKENS = Tokens(b"k" * 32, INCARNATION)
NAMES = Names(frozenset({FE1, POOL, OURS}), frozenset({("192.0.2.1", 5061)}))


def request(
    method: str = "MESSAGE",
    uri: str = BOB,
    headers: Iterable[tuple[str, str]] = (),
    *,
    sender: str = ALICE,
    to: str | None = None,
    tag: str = "",
) -> Request:
    """Make a request as it comes in; *tag* is that of To, and puts it inside a dialog."""
    fixed = [
        ("via", "SIP/2.0/TLS 192.0.2.9:5061;branch=z9hG4bKone"),
        ("max-forwards", "70"),
        ("from", f"<{sender}>;tag=f"),
        ("to", f"<{to or uri}>{f';tag={tag}' if tag else ''}"),
        ("call-id", "call"),
        ("cseq", f"1 {method}"),
    ]
    return build_request(method, uri, [*fixed, *headers])


def answer(status: int, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """Make a response to `request`."""
    return respond(request(), status, headers=headers)


def peer(name: str, role: Role | None, pool: str | None, *asserts: str) -> TrustedPeer:
    """Make an entry of the topology."""
    authority = Authority("Example", (), RevocationLists())
    return TrustedPeer(name, role, pool, frozenset({name}), frozenset({name}), frozenset(asserts), authority)


def client(*users: str, flow: int = 1) -> ClientSender:
    """A client's link that has proved *users*."""
    return ClientSender(INCARNATION, flow, frozenset(users))


FRONT_END = ServerSender(LinkKind.SERVER, peer(FE2, Role.FRONT_END, POOL, OURS))
OTHER_POOL = ServerSender(LinkKind.SERVER, peer("fe9.example.test", Role.FRONT_END, "pool9.example.test", OURS))
EDGE_INSIDE = ServerSender(LinkKind.SERVER, peer(EDGE, Role.EDGE, EDGES, THEIRS))
MUTE_BOT = ServerSender(LinkKind.SERVER, peer(BOT, Role.APPLICATION, BOT))
PARTNER = ServerSender(LinkKind.PARTNER, peer(THEIR_EDGE, None, None, THEIRS))

INSIDE_PEERS = {
    named_side(POOL): ((FE2,), LinkKind.SERVER),
    named_side(EDGES): ((EDGE, "edge2.example.test"), LinkKind.SERVER),
    named_side("empty.example.test"): ((), LinkKind.SERVER),
}

FRONT_END_FACTS = FrontEndFacts(
    names=NAMES,
    domains=frozenset({OURS}),
    pool=POOL,
    applications={BOT: (BOT,)},
    route=(EDGE, "edge2.example.test"),
    partner_domains=frozenset({THEIRS}),
    blocked=frozenset({"evil.test"}),
    peers=INSIDE_PEERS,
    incarnation=INCARNATION,
)

EDGE_FACTS = EdgeFacts(
    names=Names(frozenset({EDGE, EDGES, OURS}), frozenset()),
    domains=frozenset({OURS}),
    next_hop=(FE1, FE2),
    partners={THEIRS: THEIR_EDGE, "noedge.test": "noedge.test"},
    blocked=frozenset({"evil.test"}),
    peers={
        named_side(POOL): ((FE1, FE2), LinkKind.SERVER),
        named_side(THEIR_EDGE): ((THEIR_EDGE,), LinkKind.PARTNER),
        named_side("noedge.test"): (("also.test", "noedge.test"), LinkKind.PARTNER),
    },
    incarnation=INCARNATION,
)


def flow_side(flow: int, user: str, incarnation: int = INCARNATION) -> FlowSide:
    """A client's side of a dialog."""
    return FlowSide(incarnation, flow, owner_hash(user))


def binding(
    contact: str,
    *,
    server: str = FE1,
    flow: int = 1,
    q: float = 1.0,
    instance: str | None = None,
    reg_id: int | None = None,
) -> Binding:
    """A row of bob's."""
    token = TOKENS.flow(flow, BOB)
    return Binding(BOB, contact, instance, reg_id, q, "call", 1, server, INCARNATION, flow, token, 2e9)
