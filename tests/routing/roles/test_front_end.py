from dataclasses import replace

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
    BOT,
    BOT_SIDE,
    CAROL,
    CONTACT,
    EDGE,
    EDGE_SIDE,
    FE1,
    FE2,
    FROM_BOT,
    FROM_EDGE,
    FROM_NEWS,
    FROM_PARTNER,
    FRONT_END,
    GATEWAY,
    INCARNATION,
    KEY,
    MATE,
    NEW_LINK,
    NEWS,
    POOL,
    POOL_SIDE,
    SECOND,
    STRANGE_FRONT_END,
    THIRD,
    TOKENS,
    asserting,
    request,
    route,
    row,
    servers,
    token,
)
from sipmesh.errors import RemoteError
from sipmesh.routing.identity.alias import alias_keys, nobody
from sipmesh.routing.identity.dialog import NO_FLOW
from sipmesh.routing.identity.dialog_token import Side, owner_hash
from sipmesh.routing.identity.route_set import take_place
from sipmesh.routing.identity.sender import ClientSender, Sender, ServerSender, named_side
from sipmesh.routing.identity.tokens import Tokens
from sipmesh.routing.outcome import Answer, Drop, Forward, Outcome, Prove, Register, ToContact, ToUser
from sipmesh.routing.registrar.device import Instance, RegisteredContact, instance_hash, registration_hash
from sipmesh.routing.registrar.gruu import Gruus
from sipmesh.routing.roles.front_end import decide, to_home
from sipmesh.routing.target import FlowTarget, Found, ServerTarget
from sipmesh.sip.message import Request
from sipmesh.sip.uri import SipUri
from sipmesh.topology.server_choice import NO_SERVERS, ServerChoice
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

EDGES = {EDGE, "edge2.example.test"}
DESK = "sip:desk@news.test"
FLOW = TOKENS.flow(42, BOB)
OLD_FLOW = Tokens(KEY, INCARNATION - 1).flow(42, BOB)
OURS_OR_NOBODYS = EDGES | {FE2, BOT, NEWS}


def decided(asked: Request, sender: Sender) -> Outcome:
    """Decide as the running server does: first what the Route says, then everything else."""
    return decide(asked, take_place(asked, FRONT_END.names, TOKENS), sender, FRONT_END)


def inside(
    sender: Sender, a: Side, b: Side, *headers: tuple[str, str], method: str = "BYE", who: str = ALICE
) -> Outcome:
    """Decide on a request inside a dialog between *a* and *b*, which alice began with bob; *who* is its From."""
    tags = {"tag": "1", "to_tag": "2"} if who == ALICE else {"tag": "2", "to_tag": "1", "to": ALICE}
    return decided(request(method, CONTACT, *headers, sender=who, routes=[route(token(a, b))], **tags), sender)


def refusal(outcome: Outcome) -> tuple[int, Code | None]:
    assert isinstance(outcome, Answer)
    return outcome.status, outcome.code


# Who may say whose request it is (the table of links)


@pytest.mark.parametrize(
    ("sender", "who", "outcome"),
    [
        (ALICES, ALICE, ToUser(BOB, ALICE)),
        (NEW_LINK, ALICE, Prove(ALICE, 407)),
        (MATE, ALICE, ToUser(BOB, ALICE)),
        (STRANGE_FRONT_END, ALICE, ToUser(BOB, ALICE)),
        (FROM_EDGE, CAROL, ToUser(BOB, CAROL)),
        (FROM_NEWS, DESK, ToUser(BOB, DESK)),
    ],
    ids=["client", "client-unproved", "mate", "another-pool", "edge", "application-that-speaks"],
)
def test_request_has_an_identity_that_its_sender_may_assert(sender: Sender, who: str, outcome: Outcome) -> None:
    assert decided(request("MESSAGE", sender=who), sender) == outcome


@pytest.mark.parametrize(
    ("sender", "who"),
    [
        (ALICES, CAROL),
        (NEW_LINK, CAROL),
        (MATE, CAROL),
        (FROM_EDGE, ALICE),
        (FROM_EDGE, "sip:x@stranger.test"),
        (FROM_BOT, ALICE),
        (FROM_BOT, f"sip:bot@{BOT}"),
        (FROM_NEWS, ALICE),
    ],
)
def test_request_with_another_identity_is_refused(sender: Sender, who: str) -> None:
    assert refusal(decided(request("MESSAGE", sender=who), sender)) == (403, Code.FROM_NOT_ALLOWED)


@pytest.mark.parametrize(
    ("sender", "who", "allowed"),
    [
        (MATE, ALICE, True),
        (MATE, CAROL, False),
        (FROM_EDGE, CAROL, True),
        (FROM_EDGE, ALICE, False),
        (FROM_NEWS, DESK, True),
        (FROM_NEWS, ALICE, False),
        (FROM_BOT, ALICE, False),
    ],
)
def test_assertion_is_accepted_from_allowed_servers(sender: Sender, who: str, *, allowed: bool) -> None:
    """Outside dialogs a front end asserts users of our domains only. A From does not change that."""
    outcome = decided(request("MESSAGE", BOB, *asserting(who), sender="sip:x@anonymous.invalid"), sender)
    if allowed:
        assert outcome == ToUser(BOB, who)
    else:
        assert refusal(outcome) == (403, Code.ASSERTION_NOT_ALLOWED)


def test_assertion_of_a_client_is_ignored() -> None:
    assert decided(request("MESSAGE", BOB, *asserting(BOB)), ALICES) == ToUser(BOB, ALICE)
    assert decided(request("MESSAGE", BOB, *asserting(ALICE)), NEW_LINK) == Prove(ALICE, 407)


# REGISTER and OPTIONS


@pytest.mark.parametrize(
    ("sender", "outcome"), [(ALICES, Register(ALICE)), (NEW_LINK, Prove(ALICE, 401)), (BOBS, Prove(ALICE, 401))]
)
def test_a_client_registers_the_address_it_has_proved(sender: Sender, outcome: Outcome) -> None:
    assert decided(request("REGISTER", "sip:example.test", sender=BOB, to=ALICE), sender) == outcome


@pytest.mark.parametrize("to", [CAROL, "tel:+1", "sip:alice@sub.example.test"])
def test_register_outside_our_domains_is_refused(to: str) -> None:
    assert refusal(decided(request("REGISTER", "sip:example.test", to=to), ALICES)) == (404, Code.NO_ROUTE)


@pytest.mark.parametrize(
    ("uri", "here"), [(f"sip:{FE1}", True), ("sip:127.0.0.1:5062", True), ("sip:partner.test", False)]
)
def test_a_register_is_for_our_registrar(uri: str, *, here: bool) -> None:
    outcome = decided(request("REGISTER", uri, to=ALICE), ALICES)
    assert (outcome == Register(ALICE)) if here else (refusal(outcome) == (404, Code.NO_ROUTE))


@pytest.mark.parametrize("sender", [MATE, FROM_EDGE, FROM_BOT, FROM_NEWS, STRANGE_FRONT_END])
@pytest.mark.parametrize("routes", [[], [route(FLOW)]], ids=["plain", "to-a-flow"])
def test_register_of_a_server_is_refused(sender: ServerSender, routes: list[str]) -> None:
    outcome = decided(request("REGISTER", "sip:example.test", to=ALICE, routes=routes), sender)
    assert refusal(outcome) in [(403, Code.ROLE_NOT_ALLOWED), (403, Code.NO_ROUTE)]


def test_a_register_for_a_flow_is_refused_as_such_to_a_pool_mate() -> None:
    assert refusal(decided(request("REGISTER", to=ALICE, routes=[route(FLOW)]), MATE)) == (403, Code.ROLE_NOT_ALLOWED)


@pytest.mark.parametrize("sender", [ALICES, NEW_LINK, MATE, FROM_EDGE, FROM_BOT])
def test_options_to_us_are_answered_on_every_accepted_link(sender: Sender) -> None:
    outcome = decided(request("OPTIONS", f"sip:{FE1}"), sender)
    assert isinstance(outcome, Answer)
    assert (outcome.status, dict(outcome.headers)["Accept"]) == (200, "*/*")


def test_options_that_require_an_extension_get_420() -> None:
    outcome = decided(request("OPTIONS", "sip:example.test", ("require", "100rel, precondition")), ALICES)
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.headers) == (420, (("Unsupported", "100rel, precondition"),))


def test_options_to_others_are_routed_like_other_requests() -> None:
    assert decided(request("OPTIONS", BOB), ALICES) == ToUser(BOB, ALICE)
    assert refusal(decided(request("OPTIONS", "sip:stranger.test"), ALICES)) == (404, Code.NO_ROUTE)


def test_options_inside_a_dialog_go_to_its_other_side() -> None:
    asked = request("OPTIONS", CONTACT, to_tag="2", routes=[route(token(ALICE_SIDE, POOL_SIDE))])
    assert servers(decided(asked, ALICES)) == {FE2}


# Where it goes


@pytest.mark.parametrize("uri", [BOB, "sips:bob@example.test", "sip:%62ob@EXAMPLE.test:5061;user=phone"])
def test_a_user_of_ours_is_looked_up(uri: str) -> None:
    assert decided(request("INVITE", uri), ALICES) == ToUser(BOB, ALICE)


@pytest.mark.parametrize(
    ("uri", "names"), [(f"sip:{BOT}", {BOT}), (f"sip:quiz@{BOT}", {BOT}), (f"sip:a@{NEWS}", {NEWS})]
)
def test_an_application_is_reached_by_its_name(uri: str, names: set[str]) -> None:
    outcome = decided(request("INVITE", uri), ALICES)
    assert (servers(outcome), outcome) == (names, Forward((ServerTarget(tuple(names), LinkKind.SERVER, uri),), ALICE))


@pytest.mark.parametrize(("sender", "who"), [(ALICES, ALICE), (MATE, ALICE), (FROM_NEWS, DESK)])
def test_a_partner_is_reached_by_our_edges(sender: Sender, who: str) -> None:
    outcome = decided(request("INVITE", CAROL, sender=who), sender)
    assert isinstance(outcome, Forward)
    assert (servers(outcome), outcome.identity) == (EDGES, who)


def test_request_from_an_edge_never_leaves_again() -> None:
    outcome = decided(request("INVITE", "sip:dora@partner.example", sender=CAROL), FROM_EDGE)
    assert refusal(outcome) == (403, Code.NO_ROUTE)
    assert refusal(decided(request("INVITE", f"sip:{BOT}", sender=CAROL), FROM_EDGE)) == (403, Code.NO_ROUTE)
    assert decided(request("INVITE", BOB, sender=CAROL), FROM_EDGE) == ToUser(BOB, CAROL)


@pytest.mark.parametrize(
    ("uri", "status", "code"),
    [
        ("sip:x@evil.test", 403, Code.PARTNER_BLOCKED),
        ("sip:x@stranger.test", 404, Code.NO_ROUTE),
        ("sip:192.0.2.66:5061", 404, Code.NO_ROUTE),
        ("sip:x@sub.example.test", 404, Code.NO_ROUTE),
        ("sip:x@partner.test.evil.test", 404, Code.NO_ROUTE),
        ("sip:example.test", 404, Code.NO_ROUTE),
        (f"sip:x@{FE2}", 404, Code.NO_ROUTE),
        (f"sip:x@{EDGE}", 404, Code.NO_ROUTE),
    ],
)
@pytest.mark.parametrize("sender", [ALICES, MATE])
def test_unknown_hosts_are_refused(sender: Sender, uri: str, status: int, code: Code) -> None:
    assert refusal(decided(request("INVITE", uri), sender)) == (status, code)


def test_without_a_federation_route_no_partner_is_reached() -> None:
    asked = request("INVITE", CAROL)
    outcome = decide(asked, take_place(asked, FRONT_END.names, TOKENS), ALICES, replace(FRONT_END, route=NO_SERVERS))
    assert refusal(outcome) == (404, Code.NO_ROUTE)


@pytest.mark.parametrize("first", [[], ["<sip:fe1.example.test;lr>"], [route(token(BOB_SIDE, POOL_SIDE))]])
@pytest.mark.parametrize(
    "away", ["<sip:proxy.evil.test;lr>", "<sip:192.0.2.66>", f"<sip:{FE2};lr>", f"<sip:{EDGE};lr>"]
)
def test_crafted_route_is_refused(first: list[str], away: str) -> None:
    assert refusal(decided(request("INVITE", routes=[*first, away]), ALICES)) == (403, Code.NO_ROUTE)


def test_a_preloaded_route_to_us_alone_is_fine() -> None:
    """Phones with an outbound proxy write it."""
    assert decided(request("INVITE", routes=["<sip:fe1.example.test:5061;transport=tls;lr>"]), ALICES) == ToUser(
        BOB, ALICE
    )


# Flows


@pytest.mark.parametrize("who", [ALICE, CAROL])
def test_a_pool_mate_reaches_a_flow_of_ours(who: str) -> None:
    """Partners' users too: their edge cannot know which of us holds the flow."""
    asked = request("INVITE", CONTACT, *asserting(who), sender=who, routes=[route(FLOW)])
    assert decided(asked, MATE) == Forward((FlowTarget(42, owner_hash(BOB), CONTACT, found=Found.TOKEN),), who)


@pytest.mark.parametrize("sender", [STRANGE_FRONT_END, FROM_EDGE, FROM_BOT, FROM_PARTNER, ALICES, BOBS, NEW_LINK])
def test_flow_token_is_refused_from_other_peers(sender: Sender) -> None:
    assert refusal(decided(request("INVITE", CONTACT, routes=[route(FLOW)]), sender)) == (403, Code.NO_ROUTE)


def test_a_flow_of_an_earlier_start_has_failed_and_the_user_is_not_looked_up() -> None:
    outcome = decided(request("INVITE", BOB, routes=[route(OLD_FLOW)]), MATE)
    assert refusal(outcome) == (430, Code.NO_ROUTE)
    assert isinstance(decided(request("INVITE", BOB, routes=[route(FLOW)]), MATE), Forward)


@pytest.mark.parametrize(
    ("claims", "who", "code"),
    [
        (["sip:x@stranger.test"], ALICE, Code.ASSERTION_NOT_ALLOWED),
        ([], "sip:x@stranger.test", Code.FROM_NOT_ALLOWED),
        ([], "tel:+1", Code.FROM_NOT_ALLOWED),
    ],
)
def test_a_pool_mate_passes_on_to_a_flow_only_what_it_may_assert(claims: list[str], who: str, code: Code) -> None:
    asked = request("INVITE", CONTACT, *asserting(*claims), sender=who, routes=[route(FLOW)])
    assert refusal(decided(asked, MATE)) == (403, code)


def test_an_ack_to_a_flow_is_dropped() -> None:
    assert isinstance(decided(request("ACK", CONTACT, routes=[route(FLOW)]), MATE), Drop)


# Dialogs


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO", "REFER", "NOTIFY", "ACK"])
def test_requests_cross_a_dialog_in_both_directions(method: str) -> None:
    event = ("event", "refer")
    there = inside(ALICES, ALICE_SIDE, POOL_SIDE, event, method=method)
    back = inside(MATE, ALICE_SIDE, POOL_SIDE, event, method=method, who=BOB)
    assert servers(there) == {FE2}
    assert isinstance(back, Forward)
    assert back.targets == (FlowTarget(41, owner_hash(ALICE), CONTACT, found=Found.DIALOG),)


@pytest.mark.parametrize(
    ("sender", "headers", "who"),
    [
        (ALICES, [], ALICE),
        (ALICES, asserting(BOB), ALICE),
        (MATE, [], None),
        (MATE, asserting(BOB), BOB),
        (MATE, asserting(CAROL), CAROL),
    ],
)
def test_the_identity_inside_a_dialog_is_the_clients_own_or_what_the_server_asserts(
    sender: Sender, headers: list[tuple[str, str]], who: str | None
) -> None:
    outcome = inside(sender, ALICE_SIDE, POOL_SIDE, *headers, who=ALICE if sender is ALICES else BOB)
    assert isinstance(outcome, Forward)
    assert outcome.identity == who


def test_inside_a_dialog_server_asserts_allowed_domains_only() -> None:
    outcome = inside(MATE, ALICE_SIDE, POOL_SIDE, *asserting("sip:x@stranger.test"), who=BOB)
    assert refusal(outcome) == (403, Code.ASSERTION_NOT_ALLOWED)
    outcome = inside(FROM_EDGE, ALICE_SIDE, EDGE_SIDE, *asserting(ALICE), who=BOB)
    assert refusal(outcome) == (403, Code.ASSERTION_NOT_ALLOWED)


@pytest.mark.parametrize("sender", [BOBS, MATE])
def test_a_dialog_of_others_cannot_be_entered_with_its_token(sender: Sender) -> None:
    outcome = inside(sender, ALICE_SIDE, BOT_SIDE, who=BOB)
    assert refusal(outcome) == (481, Code.NO_ROUTE)


def test_unauthenticated_link_is_challenged() -> None:
    assert inside(NEW_LINK, ALICE_SIDE, POOL_SIDE) == Prove(ALICE, 407)


def test_a_dialog_goes_on_by_the_user_where_its_flow_began_before_our_last_start() -> None:
    old = replace(ALICE_SIDE, incarnation=INCARNATION - 1)
    outcome = inside(MATE, old, POOL_SIDE, who=BOB)
    assert isinstance(outcome, Forward)
    assert outcome.targets == (FlowTarget(NO_FLOW, owner_hash(ALICE), CONTACT, found=Found.DIALOG),)


def test_a_client_that_came_back_goes_on_with_its_dialog() -> None:
    back = ClientSender(INCARNATION, 99, frozenset({ALICE}))
    assert servers(inside(back, ALICE_SIDE, POOL_SIDE)) == {FE2}


@pytest.mark.parametrize("sender", [ALICES, MATE, FROM_EDGE])
def test_a_to_tag_without_our_token_is_no_dialog(sender: Sender) -> None:
    who = CAROL if sender is FROM_EDGE else ALICE
    assert refusal(decided(request("BYE", BOB, sender=who, to_tag="2"), sender)) == (481, Code.NO_ROUTE)
    assert isinstance(decided(request("ACK", BOB, sender=who, to_tag="2"), sender), Drop)


def test_the_contact_inside_a_dialog_is_carried_and_never_resolved() -> None:
    asked = request("BYE", "sip:x@192.0.2.66", to_tag="2", routes=[route(token(ALICE_SIDE, EDGE_SIDE))])
    assert servers(decided(asked, ALICES)) == EDGES


# What a token is not good for


@pytest.mark.parametrize(("tag", "to_tag"), [("1", ""), ("9", "2"), ("2", "9"), ("1", "1")])
def test_a_token_opens_nothing_outside_its_dialog(tag: str, to_tag: str) -> None:
    """A new request, other tags, and one tag for both ends; alice may of course call bob without it."""
    routes = [route(token(ALICE_SIDE, EDGE_SIDE))]
    asked = request("INVITE", CONTACT, tag=tag, to_tag=to_tag, routes=routes)
    assert refusal(decided(asked, ALICES))[1] is Code.NO_ROUTE
    assert servers(decided(request("INVITE", CONTACT, to_tag="2", routes=routes), ALICES)) == EDGES


def test_token_of_another_call_is_refused() -> None:
    asked = request("INVITE", CONTACT, to_tag="2", routes=[route(token(ALICE_SIDE, EDGE_SIDE))])
    asked.replace("call-id", "call-2")
    assert refusal(decided(asked, ALICES)) == (481, Code.NO_ROUTE)


@pytest.mark.parametrize(
    ("sender", "who", "to", "status"),
    [
        (ALICES, CAROL, BOB, 403),
        (ALICES, "sip:boss@example.test", BOB, 403),
        (ALICES, "tel:+1", BOB, 403),
        (ALICES, ALICE, "sip:boss@example.test", 481),
    ],
)
def test_inside_a_dialog_wrong_from_or_to_is_refused(sender: Sender, who: str, to: str, status: int) -> None:
    asked = request("UPDATE", CONTACT, sender=who, to=to, to_tag="2", routes=[route(token(ALICE_SIDE, EDGE_SIDE))])
    assert refusal(decided(asked, sender))[0] == status


@pytest.mark.parametrize("host", [BOT, FE2, EDGE, POOL])
def test_inside_a_dialog_other_servers_are_refused_as_target(host: str) -> None:
    asked = request("INFO", f"sip:x@{host}", to_tag="2", routes=[route(token(ALICE_SIDE, BOB_SIDE))])
    assert refusal(decided(asked, ALICES)) == (403, Code.NO_ROUTE)


def test_inside_a_dialog_a_blocked_organisation_stays_blocked() -> None:
    asked = request("INFO", "sip:x@evil.test", to_tag="2", routes=[route(token(ALICE_SIDE, EDGE_SIDE))])
    assert refusal(decided(asked, ALICES)) == (403, Code.PARTNER_BLOCKED)


def test_inside_a_dialog_an_application_is_asked_for_by_its_own_callers_and_callees() -> None:
    """It is the other side, or it began the dialog and its Contact says so."""
    called = request("INFO", f"sip:quiz@{BOT}", to_tag="2", routes=[route(token(ALICE_SIDE, BOT_SIDE))])
    assert servers(decided(called, ALICES)) == {BOT}
    began = route(token(BOT_SIDE, EDGE_SIDE, callee=CAROL, caller=DESK, target=BOT, for_callee=True))
    back = request("INFO", f"sip:quiz@{BOT}", sender=CAROL, to=DESK, tag="2", to_tag="1", routes=[began])
    assert servers(decided(back, FROM_EDGE)) == {BOT}


@pytest.mark.parametrize(("who", "to"), [(BOB, ALICE), ("sip:desk@news.test", ALICE)])
def test_a_name_may_change_inside_a_dialog_to_another_of_the_same_side(who: str, to: str) -> None:
    """RFC 4916: what its sender may use outside a dialog it may use inside."""
    began = route(token(ALICE_SIDE, named_side(NEWS)))
    asked = request("UPDATE", CONTACT, sender=who, to=to, tag="2", to_tag="1", routes=[began])
    assert isinstance(decided(asked, FROM_NEWS), Forward)


# For all that a peer writes

hosts = st.sampled_from(
    [FE1, FE2, EDGE, BOT, NEWS, "example.test", "partner.test", "evil.test", "192.0.2.66", "[::1]:5061"]
)
users = st.sampled_from(
    [
        "",
        "alice@",
        f"{FLOW}@",
        f"{OLD_FLOW}@",
        *(f"{token(a, b)}@" for a in (ALICE_SIDE, POOL_SIDE) for b in (BOB_SIDE, EDGE_SIDE)),
    ]
)
uris = st.builds(
    "{}:{}{}{}".format, st.sampled_from(["sip", "sips", "tel"]), users, hosts, st.sampled_from(["", ";lr"])
)
entries = uris.map("<{}>".format) | st.text(st.characters(exclude_characters="\r\n"), max_size=20)
senders = st.sampled_from([ALICES, BOBS, NEW_LINK, MATE, STRANGE_FRONT_END, FROM_EDGE, FROM_BOT, FROM_NEWS])
methods = st.sampled_from(["INVITE", "ACK", "BYE", "REGISTER", "OPTIONS", "MESSAGE", "UNHEARD-OF"])


@given(senders, methods, uris, st.sampled_from(["", "2"]), st.lists(entries, max_size=3), st.lists(entries, max_size=2))
def test_no_request_at_all_leads_to_a_host_that_is_no_server_of_ours(
    sender: Sender, method: str, uri: str, to_tag: str, routes: list[str], recorded: list[str]
) -> None:
    headers = [("record-route", value) for value in recorded]
    asked = request(method, uri, *headers, routes=routes, to_tag=to_tag)
    try:
        outcome = decided(asked, sender)
    except RemoteError:
        return
    assert servers(outcome) <= OURS_OR_NOBODYS
    if isinstance(outcome, Forward):
        assert all(target.kind is LinkKind.SERVER for target in outcome.targets if isinstance(target, ServerTarget))
        assert all(target.flow in {41, 42, NO_FLOW} for target in outcome.targets if isinstance(target, FlowTarget))


TO_BOB = ToUser(BOB, ALICE)
SECOND_SERVERS = ServerChoice((("fe3.example.test", "fe4.example.test"),))


@pytest.mark.parametrize("sender", [ALICES, FROM_EDGE, FROM_BOT])
def test_request_for_a_user_of_another_pool_goes_to_its_servers_under_the_identity_of_its_sender(
    sender: Sender,
) -> None:
    outcome = to_home(request(), TO_BOB, sender, SECOND, SECOND_SERVERS)
    assert isinstance(outcome, Forward)
    assert servers(outcome) == set(SECOND_SERVERS)
    assert outcome.identity == ALICE


@pytest.mark.parametrize("sender", [MATE, STRANGE_FRONT_END])
def test_request_that_a_front_end_sent_goes_to_no_third_pool(sender: Sender) -> None:
    outcome = to_home(request(), TO_BOB, sender, THIRD, SECOND_SERVERS)
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.code) == (404, Code.OTHER_HOME)


def test_user_of_a_removed_pool_is_not_found() -> None:
    outcome = to_home(request(), TO_BOB, ALICES, THIRD, NO_SERVERS)
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.code) == (404, Code.OTHER_HOME)


@pytest.mark.parametrize(
    ("entrances", "uri", "brought"),
    [
        ({POOL, SECOND}, BOB, True),
        ({POOL}, BOB, False),  # no edge hands requests to that pool
        ({POOL, SECOND}, CAROL, False),  # it would leave again
        ({POOL, SECOND}, "sip:example.test", False),
    ],
)
def test_front_end_of_the_pool_behind_an_edge_brings_partners_to_users_of_ours_only(
    entrances: set[str],
    uri: str,
    brought: bool,  # noqa: FBT001 - a row of the table
) -> None:
    facts = replace(FRONT_END, entrances=frozenset(entrances))
    asked = request("MESSAGE", uri, *asserting(CAROL), sender=CAROL)
    outcome = decide(asked, take_place(asked, facts.names, TOKENS), STRANGE_FRONT_END, facts)
    assert isinstance(outcome, ToUser) is brought
    if not brought:
        assert isinstance(outcome, Answer)
        assert outcome.code is Code.ASSERTION_NOT_ALLOWED


# GRUUs and registered Contacts

URN = "urn:uuid:1"
DESK_DEVICE = Instance(instance_hash(f"<{URN}>"))
AWAY_CONTACT = "sip:bob@192.0.2.9:5070;transport=tls"


def hidden(pool: str = POOL, key: bytes = b"key of the pool") -> str:
    """A temporary GRUU of bob's, made in *pool*."""
    return Gruus(key, pool).temporary(row(instance=f"<{URN}>"), bytes(12))


def test_public_gruu_leads_to_one_device_of_its_user() -> None:
    assert decided(request("INVITE", f"{BOB};gr={URN}"), ALICES) == ToUser(BOB, ALICE, DESK_DEVICE)


@pytest.mark.parametrize(("sender", "who"), [(ALICES, ALICE), (MATE, ALICE), (FROM_EDGE, CAROL)])
def test_temporary_gruu_is_opened_by_its_pool(sender: Sender, who: str) -> None:
    outcome = decided(request("INVITE", hidden(), sender=who, to=hidden()), sender)
    assert outcome == ToUser(BOB, who, Instance(DESK_DEVICE.instance, registration_hash("reg-1")))


def test_temporary_gruu_of_another_pool_goes_there_once() -> None:
    """A front end that gets one from another front end sends it nowhere, so that it goes in no circle."""
    theirs = hidden(SECOND, b"theirs")
    outcome = decided(request("INVITE", theirs, to=theirs), ALICES)
    assert (servers(outcome), outcome.identity if isinstance(outcome, Forward) else None) == (
        {"fe9.example.test"},
        ALICE,
    )
    assert refusal(decided(request("INVITE", theirs, to=theirs), STRANGE_FRONT_END)) == (404, Code.OTHER_HOME)


@pytest.mark.parametrize("uri", [hidden(POOL, b"theirs"), hidden(THIRD), "sip:tgruu.x@example.test;gr", f"{BOB};gr"])
def test_temporary_gruu_that_no_pool_of_ours_has_made_is_not_found(uri: str) -> None:
    assert refusal(decided(request("INVITE", uri, to=uri), ALICES)) == (404, Code.NO_ROUTE)


@pytest.mark.parametrize("to", [BOB, CAROL, f"{BOB};gr={URN}"])
def test_request_for_a_temporary_gruu_names_no_user_in_to(to: str) -> None:
    assert refusal(decided(request("INVITE", hidden(), to=to), ALICES)) == (404, Code.NO_ROUTE)


@pytest.mark.parametrize("uri", [f"{BOB};gr={URN}", hidden()])
def test_gruu_inside_a_dialog_leads_to_the_device_and_otherwise_to_the_flow(uri: str) -> None:
    def asked(method: str) -> Request:
        return request(method, uri, to_tag="2", routes=[route(token(ALICE_SIDE, BOB_SIDE))])

    for method in ("BYE", "ACK"):
        outcome = decided(asked(method), ALICES)
        assert isinstance(outcome, ToUser)
        assert (outcome.aor, outcome.device is not None) == (BOB, True)
        assert outcome.instead is not None
        assert [target.uri for target in outcome.instead.targets] == [uri]


@pytest.mark.parametrize("uri", [f"{ALICE};gr={URN}", hidden(key=b"theirs"), "sip:bob@192.0.2.9;gr=x"])
def test_gruu_that_is_not_of_the_other_side_stays_in_its_dialog(uri: str) -> None:
    asked = request("BYE", uri, to_tag="2", routes=[route(token(ALICE_SIDE, BOB_SIDE))])
    outcome = decided(asked, ALICES)
    assert isinstance(outcome, Forward)
    assert [target.uri for target in outcome.targets] == [uri]


@pytest.mark.parametrize(("sender", "asks_mates"), [(ALICES, True), (MATE, False)])
def test_contact_is_looked_for_here_and_then_at_the_other_servers_of_the_pool(
    sender: Sender, *, asks_mates: bool
) -> None:
    outcome = decided(request("INVITE", AWAY_CONTACT), sender)
    assert outcome == ToContact(RegisteredContact("bob@192.0.2.9", 5070), ALICE, asks_mates)


@pytest.mark.parametrize(
    ("sender", "who", "uri"),
    [
        (STRANGE_FRONT_END, ALICE, AWAY_CONTACT),
        (FROM_EDGE, CAROL, AWAY_CONTACT),
        (FROM_NEWS, DESK, AWAY_CONTACT),
        (ALICES, ALICE, "sip:192.0.2.9:5070"),
        (ALICES, ALICE, f"sip:x@{FE2}"),
        (ALICES, ALICE, "sip:x@127.0.0.1:5062"),
    ],
)
def test_contact_is_for_users_and_names_no_server(sender: Sender, who: str, uri: str) -> None:
    assert refusal(decided(request("INVITE", uri, sender=who), sender)) == (404, Code.NO_ROUTE)


NUMBER, LOCAL = "tel:+49-30-123", "sip:42@example.test"


def owner_of(name: str) -> str:
    """Alice has the number +4930123 and the name info."""
    return ALICE if {"tel:+4930123", "sip:info@example.test"} & {*alias_keys(name)} else ""


@pytest.mark.parametrize("to", ["sip:info@example.test", "sip:+4930123@example.test", "sip:Info@Example.test"])
def test_alias_is_registered_by_its_user_and_by_no_other(to: str) -> None:
    asked = request("REGISTER", "sip:example.test", to=to)
    assert decided(asked, replace(ALICES, owner_of=owner_of)) == Register(ALICE)
    assert decided(asked, replace(BOBS, owner_of=owner_of)) == Prove(ALICE, 401)
    assert decided(asked, replace(BOBS, owner_of=nobody)) == Prove(SipUri.parse(to).aor, 401)


def test_number_without_a_domain_is_no_address_of_record() -> None:
    """RFC 3261 10.2: the To of a REGISTER is a SIP URI."""
    asked = request("REGISTER", "sip:example.test", to=NUMBER)
    assert refusal(decided(asked, replace(ALICES, owner_of=owner_of))) == (404, Code.NO_ROUTE)


@pytest.mark.parametrize("sender", [ALICES, MATE, FROM_EDGE])
def test_number_is_looked_up_among_our_users_for_each_caller(sender: Sender) -> None:
    who = CAROL if sender is FROM_EDGE else ALICE
    outcome = decided(request("MESSAGE", NUMBER, sender=who), sender)
    assert outcome == ToUser("sip:+4930123@tel.invalid", who)


@pytest.mark.parametrize(
    "uri", ["sip:112@example.test", "tel:112;phone-context=+49", "sip:1-1-2@example.test;user=phone"]
)
def test_emergency_call_goes_to_the_gateways_before_any_user_is_looked_for(uri: str) -> None:
    outcome = decided(request("INVITE", uri), ALICES)
    assert isinstance(outcome, Forward)
    [target] = outcome.targets
    assert isinstance(target, ServerTarget)
    assert (target.names, target.uri) == ((GATEWAY,), "sip:112@example.test;user=phone")
    assert outcome.identity == ALICE


@pytest.mark.parametrize("uri", ["urn:service:sos", "URN:service:SOS.police"])
def test_call_to_an_emergency_service_is_one_to_its_number(uri: str) -> None:
    """Only the number is put in its place. A MESSAGE, another service, and a partner are refused."""
    called = request("INVITE", uri)
    outcome = decided(called, ALICES)
    assert isinstance(outcome, Forward)
    [target] = outcome.targets
    assert isinstance(target, ServerTarget)
    assert (target.names, target.uri) == ((GATEWAY,), "sip:112@example.test;user=phone")
    assert called.uri == "sip:112@example.test;user=phone"
    refused = decided(request("MESSAGE", uri), ALICES)
    assert isinstance(refused, Answer)
    assert (refused.status, refused.headers) == (405, (("Allow", "INVITE, ACK, CANCEL"),))
    for other in (
        decided(request("INVITE", "urn:service:counseling"), ALICES),
        decided(request("INVITE", uri, sender=CAROL), FROM_EDGE),
    ):
        assert isinstance(other, Answer)
        assert other.status == 404


def test_only_our_users_make_emergency_calls() -> None:
    assert isinstance(decided(request("INVITE", "sip:112@example.test", sender=CAROL), FROM_EDGE), ToUser)
    assert isinstance(decided(request("MESSAGE", "sip:112@example.test"), ALICES), ToUser)


@pytest.mark.parametrize(("uri", "found"), [("sip:+493012345@sbc.test", True), ("sip:alice@sbc.test", False)])
def test_number_of_a_trunk_is_called_back_as_a_number(uri: str, *, found: bool) -> None:
    facts = replace(FRONT_END, trunks=frozenset({"sbc.test"}))
    asked = request("INVITE", uri)
    outcome = decide(asked, take_place(asked, facts.names, TOKENS), ALICES, facts)
    assert isinstance(outcome, ToUser) is found
    assert not isinstance(outcome, ToUser) or outcome.aor == "sip:+493012345@tel.invalid"
