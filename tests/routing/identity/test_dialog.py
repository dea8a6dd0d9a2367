import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.messages import (
    ALICE,
    ALICE_SIDE,
    ALICES,
    BOB,
    BOB_SIDE,
    BOBS,
    CONTACT,
    EDGE,
    EDGE_SIDE,
    FE2,
    FROM_EDGE,
    FRONT_END,
    INCARNATION,
    MATE,
    NEW_LINK,
    PEERS,
    POOL_SIDE,
    STRANGE_FRONT_END,
    begun,
    request,
)
from sipmesh.routing.identity.dialog import (
    NO_FLOW,
    NOTHING,
    Behind,
    Inside,
    acknowledge,
    across,
    host_of,
    is_name_of,
    likeliest,
    other_side,
    refused_inside,
    refused_routes,
    refused_target,
    to_flow,
    unbound,
)
from sipmesh.routing.identity.dialog_token import DialogToken, FlowSide, PeerSide, Side, owner_hash
from sipmesh.routing.identity.route_set import NOWHERE, RouteSet
from sipmesh.routing.identity.sender import ClientSender, Sender
from sipmesh.routing.outcome import Answer, Drop, Forward
from sipmesh.routing.target import FlowTarget, Found, ServerTarget
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request
from sipmesh.sip.uri import SipUri
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

BYE = request("BYE", CONTACT, to_tag="2")
AWAY = SipUri.parse("sip:proxy.other.test;lr")


def between(a: Side, b: Side, *, from_a: bool = True) -> RouteSet:
    """The place of a request whose tags say that *a* has sent it, or *b*."""
    route_set = RouteSet(dialog=DialogToken(a, b, begun()))
    route_set.from_a, route_set.from_b, route_set.sent_as, route_set.sent_to = from_a, not from_a, True, True
    return route_set


DIALOG = between(ALICE_SIDE, EDGE_SIDE)


@pytest.mark.parametrize(
    ("sender", "from_a", "other"),
    [
        (ALICES, True, POOL_SIDE),
        (ALICES, False, None),
        (MATE, False, ALICE_SIDE),
        (MATE, True, None),
        *(
            (sender, from_a, None)
            for sender in (BOBS, NEW_LINK, FROM_EDGE, STRANGE_FRONT_END)
            for from_a in (True, False)
        ),
    ],
)
def test_dialog_token_routes_its_two_sides_only(sender: Sender, other: Side | None, *, from_a: bool) -> None:
    """A side that uses the tags of the other side is refused."""
    assert other_side(between(ALICE_SIDE, POOL_SIDE, from_a=from_a), sender) == other


@pytest.mark.parametrize(
    ("sender", "sides", "from_a", "is_refused"),
    [
        (ALICES, (ALICE_SIDE, POOL_SIDE), True, True),
        (ALICES, (ALICE_SIDE, BOB_SIDE), True, False),
        (MATE, (ALICE_SIDE, POOL_SIDE), False, False),
        (FROM_EDGE, (EDGE_SIDE, POOL_SIDE), True, True),
    ],
)
def test_each_sender_has_to_go_on_to_a_pool_by_the_recorded_entry(
    sender: Sender, sides: tuple[Side, Side], *, from_a: bool, is_refused: bool
) -> None:
    """The pool behind us takes us for one side: it does not know who of those behind us is in which dialog."""
    here = between(*sides, from_a=from_a)
    other = other_side(here, sender)
    assert other is not None
    for here.is_diverted in (False, True):
        refused = refused_inside(BYE, here, other, sender, frozenset(), Inside(PEERS, frozenset(), frozenset()))
        assert (refused is not None) is (is_refused and here.is_diverted)


def test_without_a_token_there_is_no_other_side() -> None:
    assert other_side(NOWHERE, ALICES) is None


@pytest.mark.parametrize(("from_a", "other"), [(True, 43), (False, 41)])
def test_two_devices_of_one_user_are_distinguished_by_the_tags(other: int, *, from_a: bool) -> None:
    """On any link on which they have come back."""
    here = between(*(FlowSide(INCARNATION, number, owner_hash(ALICE)) for number in (41, 43)), from_a=from_a)
    side = other_side(here, ClientSender(INCARNATION, 99, frozenset({ALICE})))
    assert isinstance(side, FlowSide)
    assert side.number == other


def test_a_call_from_a_link_to_itself_stays_there() -> None:
    assert other_side(between(ALICE_SIDE, ALICE_SIDE), ALICES) == ALICE_SIDE


@given(st.builds(FlowSide, st.integers(0, 9), st.integers(0, 9), st.binary(min_size=8, max_size=8)))
def test_token_is_refused_from_other_links(side: FlowSide) -> None:
    assert other_side(between(side, side), ALICES) is None


def test_across_to_a_pool_carries_the_contact_in_the_request_uri() -> None:
    assert across(BYE, NOWHERE, POOL_SIDE, PEERS, INCARNATION) == Forward(
        (ServerTarget((FE2,), LinkKind.SERVER, CONTACT),), None
    )


def test_across_to_a_flow_is_by_its_number() -> None:
    assert across(BYE, NOWHERE, BOB_SIDE, PEERS, INCARNATION) == Forward(
        (FlowTarget(42, owner_hash(BOB), CONTACT, found=Found.DIALOG),), None
    )


@pytest.mark.parametrize("peers", [{}, {POOL_SIDE: NOTHING}], ids=["gone", "empty"])
def test_removed_peer_is_not_a_route(peers: dict[PeerSide, Behind]) -> None:
    answer = across(BYE, NOWHERE, POOL_SIDE, peers, INCARNATION)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.code) == (403, Code.NO_ROUTE)


@pytest.mark.parametrize(
    ("found", "incarnation", "flow"),
    [(Found.TOKEN, INCARNATION, 42), (Found.DIALOG, INCARNATION, 42), (Found.DIALOG, INCARNATION + 1, NO_FLOW)],
)
def test_flow_of_this_start_is_used_and_a_dialog_outlives_it(found: Found, incarnation: int, flow: int) -> None:
    forward = to_flow(BYE, BOB_SIDE, incarnation, found)
    assert forward == Forward((FlowTarget(flow, owner_hash(BOB), CONTACT, found=found),), None)


def test_a_named_flow_of_an_earlier_start_has_failed() -> None:
    """RFC 5626 section 5.3.1."""
    answer = to_flow(BYE, BOB_SIDE, INCARNATION + 1, Found.TOKEN)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.reason) == (430, "Flow Failed")


@pytest.mark.parametrize(
    ("route_set", "to", "first"),
    [
        (NOWHERE, BOB, "a.test"),
        (RouteSet(beyond=SipUri.parse("sip:c.test;lr")), BOB, "c.test"),
        (NOWHERE, "sip:erin@b.test", "b.test"),
        (RouteSet(beyond=SipUri.parse("sip:c.test;lr")), "sip:erin@b.test", "c.test"),
        (RouteSet(beyond=AWAY), "tel:+1", "a.test"),
    ],
)
def test_hinted_server_of_the_side_is_tried_first(route_set: RouteSet, to: str, first: str) -> None:
    names = likeliest(("a.test", "b.test", "c.test"), request("BYE", to=to), route_set)
    assert (names[0], sorted(names)) == (first, ["a.test", "b.test", "c.test"])


def test_single_server_is_used_for_any_hint() -> None:
    assert likeliest(("a.test",), BYE, RouteSet(beyond=AWAY)) == ("a.test",)


def passed(ack: Request, route_set: RouteSet, sender: Sender) -> Forward | Drop:
    return acknowledge(
        ack, route_set, other_side(route_set, sender), sender, frozenset(), FRONT_END.inside, INCARNATION
    )


def test_the_ack_of_a_2xx_goes_along_its_dialog() -> None:
    outcome = passed(request("ACK", CONTACT, to_tag="2"), between(ALICE_SIDE, EDGE_SIDE), ALICES)
    assert outcome == Forward((ServerTarget((EDGE, "edge2.example.test"), LinkKind.SERVER, CONTACT),), None)


@pytest.mark.parametrize(
    ("route_set", "sender"), [(NOWHERE, ALICES), (between(ALICE_SIDE, PeerSide(b"8 octets")), ALICES), (DIALOG, BOBS)]
)
def test_ack_without_a_route_is_dropped(route_set: RouteSet, sender: Sender) -> None:
    assert isinstance(passed(request("ACK", CONTACT, to_tag="2"), route_set, sender), Drop)


def test_ack_with_another_from_is_dropped() -> None:
    route_set = between(ALICE_SIDE, EDGE_SIDE)
    route_set.sent_as = False
    assert isinstance(passed(request("ACK", CONTACT, sender=BOB, to_tag="2"), route_set, ALICES), Drop)


@pytest.mark.parametrize(
    ("route_set", "to_tag", "status"), [(NOWHERE, "", None), (NOWHERE, "2", 481), (RouteSet(beyond=AWAY), "", 403)]
)
def test_only_requests_outside_dialogs_need_no_token(route_set: RouteSet, to_tag: str, status: int | None) -> None:
    refused = unbound(request(to_tag=to_tag), route_set)
    assert (refused.status if refused else None) == status


@pytest.mark.parametrize(("uri", "host"), [("sip:a@B.test:5", "b.test"), ("tel:+1", ""), ("sip:[", ""), ("", "")])
def test_host_of_another_uri_is_empty(uri: str, host: str) -> None:
    assert host_of(uri) == host


RESERVED = "fe9.example.test"
INSIDE = Inside(PEERS, frozenset({RESERVED, EDGE}), frozenset({"evil.test"}))


def refused(sent: Request, route_set: RouteSet, other: Side) -> tuple[int, Code | None] | None:
    """The answer to a request inside a dialog; None if it may go on."""
    answer = refused_inside(sent, route_set, other, ALICES, frozenset(), INSIDE)
    return None if answer is None else (answer.status, answer.code)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (CONTACT, None),
        ("sip:x@192.0.2.99", None),
        ("sip:x@evil.test", (403, Code.PARTNER_BLOCKED)),
        (f"sip:x@{RESERVED}", (403, Code.NO_ROUTE)),
    ],
)
def test_request_uri_inside_a_dialog_names_no_server_of_ours(uri: str, expected: tuple[int, Code] | None) -> None:
    """Any other host is part of a Contact, and is never resolved."""
    assert refused(request("BYE", uri, to_tag="2"), between(ALICE_SIDE, BOB_SIDE), BOB_SIDE) == expected


def test_server_may_be_the_target_of_its_own_side() -> None:
    """An edge or a gateway may put its own name into its Contact."""
    peers = {**PEERS, EDGE_SIDE: PEERS[EDGE_SIDE]._replace(hosts=frozenset({EDGE}))}
    known = Inside(peers, INSIDE.reserved, INSIDE.blocked)
    uri, route_set = SipUri.parse(f"sip:x@{EDGE}"), between(ALICE_SIDE, EDGE_SIDE)
    assert refused_target(uri, route_set, EDGE_SIDE, known) is None
    assert refused_target(uri, route_set, BOB_SIDE, known) is not None
    assert refused_target(SipUri.parse(f"sip:x@{RESERVED}"), RouteSet(), BOB_SIDE, known) is None


def test_initiator_may_have_the_host_that_its_contact_had() -> None:
    token = DialogToken(EDGE_SIDE, BOB_SIDE, begun())
    token.begun.target = owner_hash(RESERVED)
    uri = SipUri.parse(f"sip:x@{RESERVED}")
    for from_b in (True, False):
        route_set = RouteSet(dialog=token)
        route_set.from_b, route_set.from_a = from_b, not from_b
        assert (refused_target(uri, route_set, EDGE_SIDE, INSIDE) is None) is from_b


@pytest.mark.parametrize(
    ("sent_as", "sent_to", "expected"),
    [
        (True, True, None),
        (False, True, None),  # the name of alice, who has sent it
        (True, False, (481, Code.NO_ROUTE)),
    ],
)
def test_names_inside_a_dialog_are_those_of_its_sides(
    *, sent_as: bool, sent_to: bool, expected: tuple[int, Code] | None
) -> None:
    route_set = between(ALICE_SIDE, EDGE_SIDE)
    route_set.sent_as, route_set.sent_to = sent_as, sent_to
    assert refused(BYE, route_set, EDGE_SIDE) == expected


def test_from_of_another_user_is_refused_inside_a_dialog() -> None:
    route_set = between(ALICE_SIDE, BOB_SIDE)
    route_set.sent_as = False
    sent = request("BYE", CONTACT, to_tag="2")
    sent.replace("from", "<sip:carol@example.test>;tag=1")
    assert refused(sent, route_set, BOB_SIDE) == (403, Code.FROM_NOT_ALLOWED)


@pytest.mark.parametrize(
    ("side", "address", "is_name"),
    [
        (BOB_SIDE, "<sip:bob@example.test>", True),
        (BOB_SIDE, "<sip:carol@example.test>", False),
        (BOB_SIDE, "<tel:+1>", False),
        (EDGE_SIDE, "<sip:x@unknown.test>", False),
    ],
)
def test_name_of_a_user_is_its_own_address(side: Side, address: str, *, is_name: bool) -> None:
    assert is_name_of(side, NameAddr.parse(address), PEERS) is is_name


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("<sip:proxy.home.invalid;lr>", None),
        ("<sip:proxy.home.invalid>", (403, Code.NO_ROUTE)),
        ("<tel:+1>", (403, Code.NO_ROUTE)),
        ("<sip:proxy.home.invalid;lr?x=y>", (403, Code.NO_ROUTE)),
        (f"<sip:{RESERVED};lr>", (403, Code.NO_ROUTE)),
        ("<sip:evil.test;lr>", (403, Code.NO_ROUTE)),
    ],
)
def test_route_behind_a_user_is_loose_and_leads_to_no_server(route: str, expected: tuple[int, Code] | None) -> None:
    sent, route_set = request("BYE", CONTACT, to_tag="2"), between(ALICE_SIDE, BOB_SIDE)
    sent.append("route", route)
    answer = refused_routes(sent, AWAY, route_set, BOB_SIDE, INSIDE)
    assert (None if answer is None else (answer.status, answer.code)) == expected


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ("sip:anything.test;lr", None),
        ("sip:anything.test", None),
        ("sip:anything.test?route=x", 400),
        (f"sip:{RESERVED}", 403),
        ("sip:evil.test", 403),
    ],
)
def test_strict_route_towards_a_server_has_to_be_a_target(first: str, status: int | None) -> None:
    """It becomes the Request-URI (RFC 3261 16.6 item 6)."""
    route_set = between(ALICE_SIDE, EDGE_SIDE)
    answer = refused_routes(BYE, SipUri.parse(first), route_set, EDGE_SIDE, INSIDE)
    assert (None if answer is None else answer.status) == status
