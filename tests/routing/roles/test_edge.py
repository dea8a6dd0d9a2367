import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.messages import (
    ALICE,
    ALICE_SIDE,
    ALICES,
    AT_EDGE,
    BOB,
    CAROL,
    CONTACT,
    EDGE,
    EDGES,
    FE1,
    FE2,
    FROM_BOT,
    FROM_NEWS,
    FROM_OTHER,
    FROM_PARTNER,
    MATE,
    NEW_LINK,
    OTHER_EDGE,
    PARTNER_EDGE,
    PARTNER_SIDE,
    POOL_SIDE,
    TOKENS,
    asserting,
    request,
    route,
    servers,
    token,
)
from sipmesh.errors import RemoteError
from sipmesh.routing.identity.dialog_token import PeerSide
from sipmesh.routing.identity.route_set import take_place
from sipmesh.routing.identity.sender import Sender, ServerSender
from sipmesh.routing.outcome import Answer, Drop, Forward, Outcome, Prove
from sipmesh.routing.roles.edge import decide
from sipmesh.routing.target import ServerTarget
from sipmesh.sip.message import Request
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

DIALOG = token(POOL_SIDE, PARTNER_SIDE, callee=CAROL)
FOR_CAROL = token(POOL_SIDE, PARTNER_SIDE, callee=CAROL, for_callee=True)
DORA = "sip:dora@other.test"


def decided(asked: Request, sender: Sender) -> Outcome:
    """Decide as the running server does: first what the Route says, then everything else."""
    return decide(asked, take_place(asked, AT_EDGE.names, TOKENS), sender, AT_EDGE)


def inside(sender: Sender, *headers: tuple[str, str], method: str = "BYE", who: str = ALICE) -> Outcome:
    """Decide on a request inside a dialog that alice began with carol, who is a partner's; *who* is its From."""
    tags = {"tag": "1", "to_tag": "2", "to": CAROL} if sender is MATE else {"tag": "2", "to_tag": "1", "to": ALICE}
    ours = route(DIALOG if sender is MATE else FOR_CAROL, EDGE)
    return decided(request(method, CONTACT, *headers, sender=who, routes=[ours] * 2, **tags), sender)


def refusal(outcome: Outcome) -> tuple[int, Code | None]:
    assert isinstance(outcome, Answer)
    return outcome.status, outcome.code


@pytest.mark.parametrize(
    ("sender", "who", "to", "names"),
    [
        (MATE, ALICE, CAROL, {PARTNER_EDGE}),
        (MATE, ALICE, "sip:carol@partner.example", {PARTNER_EDGE}),
        (MATE, ALICE, DORA, {"other.test"}),
        (FROM_PARTNER, CAROL, BOB, {FE1, FE2}),
        (FROM_PARTNER, "sips:x@PARTNER.example", BOB, {FE1, FE2}),
        (FROM_OTHER, DORA, BOB, {FE1, FE2}),
    ],
)
def test_calls_cross_the_border_between_those_who_may(sender: Sender, who: str, to: str, names: set[str]) -> None:
    outcome = decided(request("INVITE", to, sender=who), sender)
    assert isinstance(outcome, Forward)
    assert servers(outcome) == names
    assert outcome.identity == who.replace("sips:", "sip:").lower()


def test_link_kind_is_partner_outwards_and_server_inwards() -> None:
    [out] = getattr(decided(request("INVITE", CAROL), MATE), "targets", [None])
    [into] = getattr(decided(request("INVITE", BOB, sender=CAROL), FROM_PARTNER), "targets", [None])
    assert out == ServerTarget((PARTNER_EDGE,), LinkKind.PARTNER, CAROL)
    assert (into.kind, into.uri) == (LinkKind.SERVER, BOB)


@pytest.mark.parametrize(
    ("sender", "who"),
    [
        (MATE, CAROL),
        (MATE, "tel:+1"),
        (FROM_PARTNER, ALICE),
        (FROM_PARTNER, DORA),
        (FROM_PARTNER, "sip:x@sub.partner.test"),
        (FROM_PARTNER, "sip:x@stranger.test"),
        (FROM_OTHER, CAROL),
        (FROM_BOT, ALICE),
        (FROM_NEWS, ALICE),
    ],
)
def test_a_from_that_is_not_the_senders_is_refused(sender: Sender, who: str) -> None:
    to = BOB if isinstance(sender, ServerSender) and sender.kind is LinkKind.PARTNER else CAROL
    assert refusal(decided(request("MESSAGE", to, sender=who), sender)) == (403, Code.FROM_NOT_ALLOWED)


@pytest.mark.parametrize(
    ("sender", "who", "claim", "allowed"),
    [
        (MATE, ALICE, ALICE, True),
        (MATE, ALICE, CAROL, False),
        (FROM_PARTNER, CAROL, "sip:boss@partner.test", True),
        (FROM_PARTNER, CAROL, ALICE, False),
        (FROM_PARTNER, CAROL, DORA, False),
    ],
)
def test_an_assertion_beside_it_is_the_senders_too_and_never_replaces_the_checked_from(
    sender: Sender, who: str, claim: str, *, allowed: bool
) -> None:
    outcome = decided(request("MESSAGE", CAROL if sender is MATE else BOB, *asserting(claim), sender=who), sender)
    if allowed:
        assert isinstance(outcome, Forward)
        assert outcome.identity == who
    else:
        assert refusal(outcome) == (403, Code.ASSERTION_NOT_ALLOWED)


@pytest.mark.parametrize(
    "uri",
    [DORA, CAROL, "sip:x@stranger.test", "sip:example.test", f"sip:x@{FE1}", "sip:x@192.0.2.66", "sip:x@evil.test"],
)
def test_partner_reaches_our_users_only(uri: str) -> None:
    """Not even another partner: we are no relay between two organisations."""
    assert refusal(decided(request("INVITE", uri, sender=CAROL), FROM_PARTNER)) == (403, Code.NO_ROUTE)


@pytest.mark.parametrize(
    ("uri", "status", "code"),
    [
        ("sip:x@evil.test", 403, Code.PARTNER_BLOCKED),
        ("sip:x@stranger.test", 404, Code.NO_ROUTE),
        (BOB, 404, Code.NO_ROUTE),
        (f"sip:x@{PARTNER_EDGE}", 404, Code.NO_ROUTE),
        ("sip:x@192.0.2.66", 404, Code.NO_ROUTE),
    ],
)
def test_our_users_reach_partners_only(uri: str, status: int, code: Code) -> None:
    assert refusal(decided(request("INVITE", uri), MATE)) == (status, code)


@pytest.mark.parametrize("sender", [ALICES, NEW_LINK])
@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE", "BYE"])
def test_client_without_a_carried_login_reaches_no_user(sender: Sender, method: str) -> None:
    assert refusal(decided(request(method, BOB), sender)) == (403, Code.NOT_AUTHENTICATED)


def test_client_logs_in_at_its_home_pool() -> None:
    outcome = decided(request("REGISTER", "sip:example.test", to=BOB), NEW_LINK)
    assert isinstance(outcome, Prove)
    assert (outcome.aor, outcome.status) == (BOB, 401)
    elsewhere = request("REGISTER", "sip:example.test", to="sip:bob@elsewhere.test")
    assert refusal(decided(elsewhere, NEW_LINK)) == (404, Code.NO_ROUTE)
    options = decided(request("OPTIONS", f"sip:{EDGE}"), NEW_LINK)
    assert isinstance(options, Answer)
    assert (options.status, "REGISTER" in dict(options.headers)["Allow"]) == (200, True)
    assert isinstance(decided(request("ACK", BOB), NEW_LINK), Drop)


@pytest.mark.parametrize("sender", [MATE, FROM_PARTNER, FROM_BOT])
def test_edge_refuses_register(sender: Sender) -> None:
    assert refusal(decided(request("REGISTER", "sip:example.test"), sender)) == (403, Code.ROLE_NOT_ALLOWED)


@pytest.mark.parametrize("sender", [MATE, FROM_PARTNER])
@pytest.mark.parametrize("uri", [f"sip:{EDGE}", f"sip:{EDGES}", "sip:example.test"])
def test_options_to_us_are_answered(sender: Sender, uri: str) -> None:
    outcome = decided(request("OPTIONS", uri, sender="sip:monitor@anywhere.test"), sender)
    assert isinstance(outcome, Answer)
    assert (outcome.status, "REGISTER" in dict(outcome.headers)["Allow"]) == (200, False)


def test_options_to_others_are_routed_like_other_requests() -> None:
    assert servers(decided(request("OPTIONS", BOB, sender=CAROL), FROM_PARTNER)) == {FE1, FE2}
    assert refusal(decided(request("OPTIONS", "sip:stranger.test"), MATE)) == (404, Code.NO_ROUTE)
    inner = request("OPTIONS", f"sip:carol@{PARTNER_EDGE}", to=CAROL, to_tag="2", routes=[route(DIALOG, EDGE)])
    assert servers(decided(inner, MATE)) == {PARTNER_EDGE}


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "ACK"])
def test_requests_cross_a_dialog_in_both_directions(method: str) -> None:
    there, back = inside(MATE, method=method), inside(FROM_PARTNER, method=method, who=CAROL)
    assert servers(there) == {PARTNER_EDGE}
    assert servers(back) == {FE1, FE2}
    assert isinstance(back, Forward)
    assert back.targets[0].uri == CONTACT


@pytest.mark.parametrize(
    ("sender", "who"), [(MATE, ALICE), (FROM_PARTNER, CAROL), (FROM_PARTNER, "sip:x@partner.test")]
)
def test_inside_a_dialog_each_side_speaks_as_its_name_or_as_another_that_it_may_use(sender: Sender, who: str) -> None:
    """RFC 4916: a name may change inside a dialog."""
    outcome = inside(sender, who=who)
    assert isinstance(outcome, Forward)
    assert outcome.identity == who


@pytest.mark.parametrize(
    ("sender", "who"), [(MATE, CAROL), (FROM_PARTNER, ALICE), (FROM_PARTNER, DORA), (FROM_PARTNER, "tel:+1")]
)
def test_inside_a_dialog_a_wrong_from_is_refused(sender: Sender, who: str) -> None:
    assert refusal(inside(sender, who=who)) == (403, Code.FROM_NOT_ALLOWED)
    assert isinstance(inside(sender, who=who, method="ACK"), Drop)


def test_inside_a_dialog_partner_asserts_its_own_domains_only() -> None:
    assert refusal(inside(FROM_PARTNER, *asserting(ALICE), who=CAROL)) == (403, Code.ASSERTION_NOT_ALLOWED)
    assert servers(inside(FROM_PARTNER, *asserting(CAROL), who=CAROL)) == {FE1, FE2}


def test_another_partner_cannot_enter_a_dialog_with_its_token() -> None:
    assert refusal(inside(FROM_OTHER, who=DORA)) == (481, Code.NO_ROUTE)
    assert isinstance(inside(FROM_OTHER, who=DORA, method="ACK"), Drop)


def test_dialog_with_a_removed_partner_is_not_a_route() -> None:
    gone = token(POOL_SIDE, PeerSide(b"8 octets"))
    asked = request("BYE", CONTACT, to_tag="2", routes=[route(gone, EDGE)])
    assert refusal(decided(asked, MATE)) == (403, Code.NO_ROUTE)


@pytest.mark.parametrize("sender", [MATE, FROM_PARTNER])
def test_a_to_tag_without_our_token_is_no_dialog(sender: Sender) -> None:
    who, to = (ALICE, CAROL) if sender is MATE else (CAROL, BOB)
    assert refusal(decided(request("BYE", to, sender=who, to_tag="2"), sender)) == (481, Code.NO_ROUTE)


@pytest.mark.parametrize("away", ["<sip:proxy.evil.test;lr>", f"<sip:{FE1};lr>", f"<sip:{OTHER_EDGE};lr>"])
def test_crafted_route_is_refused(away: str) -> None:
    for first in ([], [f"<sip:{EDGE};lr>"]):
        outcome = decided(request("INVITE", BOB, sender=CAROL, routes=[*first, away]), FROM_PARTNER)
        assert refusal(outcome) == (403, Code.NO_ROUTE)


def test_edge_ignores_flow_tokens() -> None:
    asked = request("INVITE", BOB, sender=CAROL, routes=[route(TOKENS.flow(41, ALICE), EDGE)])
    assert servers(decided(asked, FROM_PARTNER)) == {FE1, FE2}


hosts = st.sampled_from(
    [FE1, EDGE, PARTNER_EDGE, "example.test", "partner.test", "other.test", "evil.test", "192.0.2.66"]
)
users = st.sampled_from(["", "alice@", f"{DIALOG}@", f"{token(ALICE_SIDE, PARTNER_SIDE)}@", f"{TOKENS.flow(1, BOB)}@"])
uris = st.builds(
    "{}:{}{}{}".format, st.sampled_from(["sip", "sips", "tel"]), users, hosts, st.sampled_from(["", ";lr"])
)
entries = uris.map("<{}>".format) | st.text(st.characters(exclude_characters="\r\n"), max_size=20)
senders = st.sampled_from([MATE, FROM_BOT, FROM_PARTNER, FROM_OTHER, ALICES])
methods = st.sampled_from(["INVITE", "ACK", "BYE", "REGISTER", "OPTIONS", "MESSAGE"])


@given(senders, methods, uris, uris, st.sampled_from(["", "2"]), st.lists(entries, max_size=3))
def test_no_request_at_all_leads_to_a_host_that_is_no_server_or_partner_of_ours(
    sender: Sender, method: str, uri: str, who: str, to_tag: str, routes: list[str]
) -> None:
    try:
        outcome = decided(request(method, uri, sender=who, routes=routes, to_tag=to_tag), sender)
    except RemoteError:
        return
    inwards = {FE1, FE2}
    if sender in {FROM_PARTNER, FROM_OTHER}:
        assert servers(outcome) <= inwards
    else:
        assert servers(outcome) <= {PARTNER_EDGE, "other.test"}
