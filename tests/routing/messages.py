"""What the tests of routing are made of: requests as they arrive, the servers of one organisation, and what they know."""

from __future__ import annotations

from collections.abc import Iterable

from sipmesh.routing.identity.dialog import Behind, Inside, Peers
from sipmesh.routing.identity.dialog_token import NOBODY_YET, Begun, FlowSide, Side, owner_hash
from sipmesh.routing.identity.home_rule import HomeRule
from sipmesh.routing.identity.route_set import Names
from sipmesh.routing.identity.sender import ClientSender, ServerSender, named_side
from sipmesh.routing.identity.tokens import Tokens
from sipmesh.routing.numbers.dial_plan import DialPlan
from sipmesh.routing.numbers.site_plans import EmergencyGateways, SitePlan, SitePlans
from sipmesh.routing.outcome import Forward, Outcome
from sipmesh.routing.registrar.binding import Binding
from sipmesh.routing.registrar.gruu import Gruus, pool_hash
from sipmesh.routing.roles.edge import EdgeFacts
from sipmesh.routing.roles.front_end import FrontEndFacts
from sipmesh.routing.target import ServerTarget
from sipmesh.sip.message import Request, Response, build_request, respond
from sipmesh.topology.server_choice import ServerChoice
from sipmesh.trust.authority import Authority
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.role import Role
from sipmesh.trust.trusted_peer import TrustedPeer

ALICE, BOB, CAROL = "sip:alice@example.test", "sip:bob@example.test", "sip:carol@partner.test"
OURS, PARTNERS = frozenset({"example.test"}), frozenset({"partner.test", "partner.example"})
FE1, FE2, EDGE = "fe1.example.test", "fe2.example.test", "edge1.example.test"
POOL, EDGES, BOT, NEWS = "pool1.example.test", "sip.example.test", "bot.example.test", "news.example.test"
PARTNER_EDGE, OTHER_EDGE = "sip.partner.test", "sip.other.test"
GATEWAY = "gw1.example.test"
SECOND, THIRD = "pool2.example.test", "pool3.example.test"
INCARNATION = 7
KEY = b"k" * 32
TOKENS = Tokens(KEY, INCARNATION)
CONTACT = "sip:bob@192.0.2.9:49152;transport=tls"


def request(
    method: str = "INVITE",
    uri: str = BOB,
    *headers: tuple[str, str],
    sender: str = ALICE,
    to: str = BOB,
    tag: str = "1",
    to_tag: str = "",
    routes: Iterable[str] = (),
) -> Request:
    """Make a request; *to_tag* puts it inside a dialog, *routes* are the values of its Route rows.

    The tag of the side that begins is 1, and that of the other one 2.
    """
    fixed = [
        ("via", "SIP/2.0/TLS 192.0.2.1:40000;branch=z9hG4bKfirst"),
        *(("route", value) for value in routes),
        ("from", f"<{sender}>;tag={tag}"),
        ("to", f"<{to}>;tag={to_tag}" if to_tag else f"<{to}>"),
        ("call-id", "call-1"),
        ("cseq", f"1 {method}"),
        ("max-forwards", "70"),
    ]
    return build_request(method, uri, [*fixed, *headers])


def begun(caller: str = ALICE, callee: str = BOB, target: str = "192.0.2.1") -> Begun:
    """What the dialog of `request` began with."""
    return TOKENS.begun("call-1", "1", caller, callee, target).answered_by(TOKENS.tag_hash("2"))


def token(
    a: Side, b: Side, caller: str = ALICE, callee: str = BOB, target: str = "192.0.2.1", *, for_callee: bool = False
) -> str:
    """Write the token of the dialog of `request`: that of the initiator, or that of the callee."""
    start = begun(caller, callee, target)
    return TOKENS.dialog(a, b, start.answered_by(NOBODY_YET) if for_callee else start)


def asserting(*uris: str) -> list[tuple[str, str]]:
    """Give the rows that assert *uris*."""
    return [("p-asserted-identity", f"<{uri}>") for uri in uris]


def response(status: int, *headers: tuple[str, str], method: str = "INVITE") -> Response:
    return respond(request(method), status, headers=headers)


def server(name: str, role: Role | None, pool: str | None, asserts: frozenset[str] = frozenset()) -> TrustedPeer:
    """Make an entry of the topology; a partner has no role and no pool."""
    names = frozenset({name})
    return TrustedPeer(name, role, pool, names, names, asserts, Authority("Example", (), RevocationLists()))


MATE = ServerSender(LinkKind.SERVER, server(FE2, Role.FRONT_END, POOL, OURS))
STRANGE_FRONT_END = ServerSender(
    LinkKind.SERVER, server("fe9.example.test", Role.FRONT_END, "pool2.example.test", OURS)
)
FROM_EDGE = ServerSender(LinkKind.SERVER, server(EDGE, Role.EDGE, EDGES, PARTNERS))
FROM_BOT = ServerSender(LinkKind.SERVER, server(BOT, Role.APPLICATION, BOT))
FROM_NEWS = ServerSender(LinkKind.SERVER, server(NEWS, Role.APPLICATION, NEWS, frozenset({"news.test"})))
FROM_PARTNER = ServerSender(LinkKind.PARTNER, server(PARTNER_EDGE, None, None, PARTNERS))
FROM_OTHER = ServerSender(LinkKind.PARTNER, server(OTHER_EDGE, None, None, frozenset({"other.test"})))
NEW_LINK = ClientSender(INCARNATION, 41)
ALICES = ClientSender(INCARNATION, 41, frozenset({ALICE}))
BOBS = ClientSender(INCARNATION, 42, frozenset({BOB}))

POOL_SIDE, EDGE_SIDE, BOT_SIDE, PARTNER_SIDE = map(named_side, (POOL, EDGES, BOT, PARTNER_EDGE))
ALICE_SIDE = FlowSide(INCARNATION, 41, owner_hash(ALICE))
BOB_SIDE = FlowSide(INCARNATION, 42, owner_hash(BOB))

PEERS: Peers = {
    POOL_SIDE: Behind((FE2,), LinkKind.SERVER, OURS),
    EDGE_SIDE: Behind((EDGE, "edge2.example.test"), LinkKind.SERVER, PARTNERS, PARTNERS | {PARTNER_EDGE}),
    BOT_SIDE: Behind((BOT,), LinkKind.SERVER, frozenset(), frozenset({BOT})),
    named_side(SECOND): Behind(("fe9.example.test",), LinkKind.SERVER, OURS),
    named_side(NEWS): Behind((NEWS,), LinkKind.SERVER, frozenset({"news.test"}), frozenset({NEWS})),
}
RESERVED = frozenset({POOL, FE1, FE2, EDGES, EDGE, BOT, NEWS, PARTNER_EDGE, OTHER_EDGE, "other.test"}) | PARTNERS
BLOCKED = frozenset({"evil.test"})
FRONT_END = FrontEndFacts(
    names=Names(frozenset({FE1, POOL, "example.test"}), frozenset({("127.0.0.1", 5062)})),
    domains=OURS,
    pool=POOL,
    entrances=frozenset({POOL, SECOND}),
    applications={BOT: (BOT,), NEWS: (NEWS,)},
    homes_of_applications={"far.test": SECOND},
    route=ServerChoice(((EDGE, "edge2.example.test"),)),
    partner_domains=PARTNERS,
    trunks=frozenset(),
    numbers=SitePlans(SitePlan("", DialPlan(emergency=frozenset({"112"}), services={"sos": "112"}))),
    emergency_gateways={"": EmergencyGateways(ServerChoice(((GATEWAY,),)))},
    gateways={"gw1.example.test": "gw.example.test"},
    blocked=BLOCKED,
    inside=Inside(PEERS, RESERVED, BLOCKED),
    incarnation=INCARNATION,
    gruus=Gruus(b"key of the pool", POOL),
    pools={pool_hash(SECOND): SECOND},
    homes={SECOND: ServerChoice((("fe9.example.test",),))},
    home_rule=HomeRule(POOL, OURS),
)
AT_EDGE = EdgeFacts(
    names=Names(frozenset({EDGE, EDGES, "example.test"}), frozenset()),
    domains=OURS,
    next_hop=ServerChoice(((FE1, FE2),)),
    partners={"partner.test": PARTNER_EDGE, "partner.example": PARTNER_EDGE, "other.test": "other.test"},
    blocked=BLOCKED,
    inside=Inside(
        {
            POOL_SIDE: Behind((FE1, FE2), LinkKind.SERVER, OURS),
            PARTNER_SIDE: Behind((PARTNER_EDGE,), LinkKind.PARTNER, PARTNERS, PARTNERS | {PARTNER_EDGE}),
            named_side(OTHER_EDGE): Behind((OTHER_EDGE,), LinkKind.PARTNER, frozenset({"other.test"})),
        },
        RESERVED,
        BLOCKED,
    ),
    incarnation=INCARNATION,
)


def route(token: str, host: str = FE1) -> str:
    """Write a Route entry of ours."""
    return f"<sip:{token}@{host};transport=tls;lr>"


def row(  # a registration
    contact: str = CONTACT, *, server: str = FE1, flow: int = 42, instance: str | None = None, q: float = 1.0
) -> Binding:
    return Binding(BOB, contact, instance, None, q, "reg-1", 1, server, INCARNATION, flow, "token", 2e9)


def servers(outcome: Outcome) -> set[str]:
    """Give the names of the servers that an outcome leads to."""
    targets = outcome.targets if isinstance(outcome, Forward) else ()
    return {name for target in targets if isinstance(target, ServerTarget) for name in target.names}
