"""What a gateway does with a request: of a trunk, of a front end, and of a client."""

from __future__ import annotations

from dataclasses import replace

import pytest

from routing.messages import (
    ALICE,
    FE1,
    FE2,
    INCARNATION,
    MATE,
    NEW_LINK,
    POOL,
    POOL_SIDE,
    TOKENS,
    asserting,
    request,
    route,
)
from sipmesh.routing.identity.dialog import Behind, Inside
from sipmesh.routing.identity.route_set import Names, take_place
from sipmesh.routing.identity.sender import Sender, ServerSender, named_side
from sipmesh.routing.identity.trunk_names import TrunkNames
from sipmesh.routing.numbers.dial_plan import DialPlan
from sipmesh.routing.numbers.trunk_table import TrunkRoute, TrunkTable
from sipmesh.routing.outcome import Answer, Drop, Forward, Outcome
from sipmesh.routing.roles.gateway import GatewayFacts, decide, trunk_of
from sipmesh.routing.target import ServerTarget
from sipmesh.sip.message import Request
from sipmesh.topology.server_choice import ServerChoice
from sipmesh.trust.evidence import LinkKind

GATEWAYS, GATEWAY, PROVIDER, SPARE = "gw.example.test", "gw1.example.test", "sbc.provider.test", "sbc.spare.test"
CALLER, NUMBER, ALICES_NUMBER = "+491705550100", "+498912345", "+493012345"
OUR_DOMAIN = frozenset({"example.test"})
TRUNKS = TrunkTable(
    (
        TrunkRoute(PROVIDER, GATEWAYS, ("+",), ("+",)),
        TrunkRoute(SPARE, GATEWAYS, (), ("+49",), main_number="+4940123456", priority=1),
        TrunkRoute("far.test", "other.example.test", (), ("+",)),
    )
)
SIDE = named_side(PROVIDER)
FACTS = GatewayFacts(
    names=Names(frozenset({GATEWAYS, GATEWAY}), frozenset({("192.0.2.1", 5061)})),
    pool=GATEWAYS,
    next_hop=ServerChoice(((FE1, FE2),)),
    callers=TrunkNames(GATEWAYS, "example.test", OUR_DOMAIN, TRUNKS),
    inside=Inside(
        {
            POOL_SIDE: Behind((FE1, FE2), LinkKind.SERVER, OUR_DOMAIN),
            SIDE: Behind((PROVIDER,), LinkKind.PARTNER, frozenset({PROVIDER}), frozenset({PROVIDER})),
        },
        frozenset({POOL, FE1, FE2, PROVIDER}),
        frozenset(),
        translated=frozenset({SIDE}),
    ),
    incarnation=INCARNATION,
)
FROM_TRUNK = ServerSender(
    LinkKind.PARTNER,
    replace(
        MATE.peer,
        name=PROVIDER,
        role=None,
        pool=None,
        identity=frozenset({PROVIDER}),
        asserts=frozenset({PROVIDER}),
        is_trunk=True,
    ),
)
SHOWN = f"sip:{CALLER}@198.51.100.1"


def decided(asked: Request, sender: Sender) -> Outcome:
    return decide(asked, take_place(asked, FACTS.names, TOKENS), sender, FACTS)


def status(outcome: Outcome) -> int:
    assert isinstance(outcome, Answer), outcome
    return outcome.status


def of_trunk(
    method: str = "INVITE", uri: str = f"sip:{ALICES_NUMBER}@{GATEWAYS}", *headers: tuple[str, str]
) -> Request:
    return request(method, uri, *headers, sender=SHOWN, to=uri)


def target(outcome: Outcome) -> ServerTarget:
    assert isinstance(outcome, Forward), outcome
    [found] = outcome.targets
    assert isinstance(found, ServerTarget)
    return found


def test_call_of_a_trunk_goes_to_the_front_ends_under_our_own_names() -> None:
    asked = of_trunk()
    outcome = decided(asked, FROM_TRUNK)
    assert target(outcome).kind is LinkKind.SERVER
    assert isinstance(outcome, Forward)
    assert outcome.identity == f"sip:{CALLER}@{PROVIDER}"
    assert (asked.from_.uri, asked.to.uri) == (f"sip:{CALLER}@{PROVIDER}", f"sip:{ALICES_NUMBER}@example.test")


@pytest.mark.parametrize(
    ("uri", "answer"),
    [("sip:alice@198.51.100.9", 404), (f"sip:{GATEWAYS}", 484), (f"sip:{'9' * 129}@{GATEWAYS}", 484)],
)
def test_call_that_is_for_no_user_is_refused(uri: str, answer: int) -> None:
    assert status(decided(of_trunk("INVITE", uri), FROM_TRUNK)) == answer


def test_trunk_that_asserts_no_number_is_refused() -> None:
    asked = of_trunk("INVITE", f"sip:{ALICES_NUMBER}@{GATEWAYS}", ("p-asserted-identity", f"<{ALICE}>"))
    assert status(decided(asked, FROM_TRUNK)) == 403


@pytest.mark.parametrize(("method", "answer"), [("OPTIONS", 200), ("MESSAGE", 405), ("REFER", 405), ("REGISTER", 405)])
def test_trunk_makes_calls_and_pings_only(method: str, answer: int) -> None:
    assert status(decided(of_trunk(method), FROM_TRUNK)) == answer


def test_our_server_pings_the_gateway_by_its_name() -> None:
    assert status(decided(request("OPTIONS", f"sip:{GATEWAY}", to=f"sip:{GATEWAY}"), MATE)) == 200
    assert status(decided(request("OPTIONS", f"sip:{NUMBER}@example.test"), MATE)) == 405


def test_user_is_carried_by_the_trunks_of_this_gateway_in_their_order() -> None:
    both = ("p-asserted-identity", f"<{ALICE}>, <tel:{ALICES_NUMBER}>")
    found = target(decided(request("INVITE", f"sip:{NUMBER}@example.test", both), MATE))
    assert (found.names, found.kind) == ((SPARE, PROVIDER), LinkKind.PARTNER)


def test_user_without_a_number_is_carried_by_trunks_with_a_main_number() -> None:
    assert target(decided(request("INVITE", f"sip:{NUMBER}@example.test", *asserting(ALICE)), MATE)).names == (SPARE,)
    assert status(decided(request("INVITE", "sip:+43123456789@example.test", *asserting(ALICE)), MATE)) == 403


def test_emergency_call_goes_to_the_trunks_that_take_it() -> None:
    plan = DialPlan(emergency=frozenset({"112"}))
    asked = request("INVITE", "sip:112@example.test", *asserting(ALICE))
    facts = replace(FACTS, callers=replace(FACTS.callers, plan=plan))
    assert status(decide(asked, take_place(asked, FACTS.names, TOKENS), MATE, facts)) == 404
    taking = TrunkTable((TrunkRoute(PROVIDER, GATEWAYS, (), (), emergency=True),))
    facts = replace(FACTS, callers=replace(FACTS.callers, plan=plan, trunks=taking))
    assert target(decide(asked, take_place(asked, FACTS.names, TOKENS), MATE, facts)).names == (PROVIDER,)


@pytest.mark.parametrize("uri", ["sip:bob@example.test", "sip:112@example.test"])
def test_name_that_is_no_number_is_carried_by_no_trunk(uri: str) -> None:
    assert status(decided(request("INVITE", uri, *asserting(ALICE)), MATE)) == 404


def test_call_without_an_identity_of_ours_is_refused() -> None:
    assert status(decided(request("INVITE", f"sip:{NUMBER}@example.test"), MATE)) == 403
    foreign = asserting("sip:carol@partner.test")
    assert status(decided(request("INVITE", f"sip:{NUMBER}@example.test", *foreign), MATE)) == 403


def test_client_is_refused() -> None:
    assert status(decided(request(), NEW_LINK)) == 403
    assert isinstance(decided(request("ACK"), NEW_LINK), Drop)


def inside(method: str, *, secret: bool = False, uri: str = "sip:x@192.0.2.9") -> Request:
    """A request of the trunk inside a call that it began."""
    begun = TOKENS.begun("call-1", "1", f"sip:{CALLER}@{PROVIDER}", f"sip:{ALICES_NUMBER}@example.test", "198.51.100.1")
    text = TOKENS.answered(TOKENS.dialog(SIDE, POOL_SIDE, begun, secret=secret), "2")
    return request(
        method, uri, sender=SHOWN, to=f"sip:{ALICES_NUMBER}@x.test", to_tag="2", routes=[route(text, GATEWAY)]
    )


@pytest.mark.parametrize("method", ["BYE", "INVITE", "ACK", "UPDATE"])
def test_request_of_a_trunk_inside_its_call_goes_to_the_front_ends(method: str) -> None:
    asked = inside(method)
    assert target(decided(asked, FROM_TRUNK)).names == (FE1, FE2)
    assert asked.from_.uri == f"sip:{CALLER}@{PROVIDER}"


def test_trunk_transfers_no_call() -> None:
    assert status(decided(inside("REFER"), FROM_TRUNK)) == 405


def test_name_inside_a_call_of_a_hidden_side_shows_nothing() -> None:
    asked = inside("BYE", secret=True, uri=f"sip:token@{GATEWAYS}")
    assert target(decided(asked, FROM_TRUNK)).names == (FE1, FE2)
    assert asked.from_.uri == "sip:anonymous@anonymous.invalid"
    assert status(decided(inside("BYE", secret=True), FROM_TRUNK)) == 404


def test_another_trunk_is_no_side_of_the_call() -> None:
    other = replace(FROM_TRUNK.peer, name=SPARE, identity=frozenset({SPARE}), asserts=frozenset({SPARE}))
    assert status(decided(inside("BYE"), ServerSender(LinkKind.PARTNER, other))) in {403, 481}
    assert trunk_of(FROM_TRUNK) == PROVIDER
