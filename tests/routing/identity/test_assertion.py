from dataclasses import replace

import pytest

from routing.messages import (
    ALICE,
    ALICE_SIDE,
    ALICES,
    BOB,
    BOB_SIDE,
    BOBS,
    CAROL,
    FROM_BOT,
    FROM_EDGE,
    FROM_NEWS,
    FROM_PARTNER,
    FRONT_END,
    MATE,
    NEW_LINK,
    OURS,
    PARTNERS,
    TOKENS,
    asserting,
    request,
    response,
    route,
    token,
)
from sipmesh.errors import RemoteError
from sipmesh.routing.identity import assertion
from sipmesh.routing.identity.alias import alias_keys, nobody
from sipmesh.routing.identity.route_set import NOWHERE, RouteSet, take_place
from sipmesh.routing.identity.sender import ClientSender, Sender, ServerSender
from sipmesh.routing.outcome import Answer, Prove
from sipmesh.trust.code import Code

BOTH = ClientSender(7, 41, frozenset({ALICE, BOB}))


def code(found: str | Answer | Prove | None) -> Code | None:
    return found.code if isinstance(found, Answer) else None


@pytest.mark.parametrize(
    ("rows", "hosts"),
    [
        ([], []),
        ([f"<{ALICE}>"], ["example.test"]),
        (['"Alice, A." <sip:alice@example.test>, <tel:+1>'], ["example.test"]),
        ([f"<{ALICE}>", "<sips:carol@PARTNER.test>"], ["example.test", "partner.test"]),
        (["<tel:+1>"], []),
        ([""], []),
    ],
)
def test_sip_identities_of_all_rows_are_asserted_and_others_assert_nothing(rows: list[str], hosts: list[str]) -> None:
    claims = assertion.asserted(request("INVITE", BOB, *(("p-asserted-identity", value) for value in rows)))
    assert [claim.host for claim in claims] == hosts


@pytest.mark.parametrize("value", ["<sip:[>", "alice", f"<{ALICE}>,"])
def test_malformed_assertion_is_a_remote_error(value: str) -> None:
    with pytest.raises(RemoteError):
        assertion.asserted(request("INVITE", BOB, ("p-asserted-identity", value)))


@pytest.mark.parametrize("sender", [ALICE, "sips:alice@EXAMPLE.test:5061", "sip:%61lice@example.test;user=ip"])
def test_a_client_is_the_user_it_proved_in_any_spelling(sender: str) -> None:
    assert assertion.of_client(request(sender=sender), ALICES, OURS) == ALICE


@pytest.mark.parametrize("sender", [CAROL, "sip:example.test", "tel:+1"])
def test_a_client_that_writes_another_from_is_refused(sender: str) -> None:
    assert code(assertion.of_client(request(sender=sender), ALICES, OURS)) is Code.FROM_NOT_ALLOWED


@pytest.mark.parametrize("sender", [BOB, "sip:Alice@example.test", "sip:nobody@example.test"])
def test_a_client_proves_each_user_whose_name_it_writes(sender: str) -> None:
    """Also a user who does not exist: the challenge tells nothing about that."""
    assert assertion.of_client(request(sender=sender), ALICES, OURS) == Prove(sender, 407)
    assert assertion.of_client(request(sender=BOB), BOTH, OURS) == BOB


@pytest.mark.parametrize(("users", "asked"), [(255, True), (256, False)])
def test_users_of_a_link_are_bounded(users: int, *, asked: bool) -> None:
    """Those who have logged in go on; one more is refused."""
    crowd = ClientSender(7, 41, frozenset(f"sip:user{number}@example.test" for number in range(users)))
    for status in (401, 407):
        found = assertion.proof_of(ALICE, status, crowd)
        assert found == Prove(ALICE, status) if asked else code(found) is Code.FROM_NOT_ALLOWED
    assert assertion.of_client(request(sender="sip:user7@example.test"), crowd, OURS) == "sip:user7@example.test"


def test_unauthenticated_client_is_challenged() -> None:
    assert assertion.of_client(request(), NEW_LINK, OURS) == Prove(ALICE, 407)


@pytest.mark.parametrize("sender", [CAROL, "sip:example.test", "tel:+1", "mailto:alice@example.test"])
def test_from_outside_our_domains_is_refused_without_a_challenge(sender: str) -> None:
    assert code(assertion.of_client(request(sender=sender), NEW_LINK, OURS)) is Code.FROM_NOT_ALLOWED


def test_assertion_of_a_client_is_ignored() -> None:
    asked = request("INVITE", BOB, *asserting(BOB))
    assert assertion.of_client(asked, ALICES, OURS) == ALICE
    assert assertion.of_client(asked, NEW_LINK, OURS) == Prove(ALICE, 407)


def place_of(sender: str, *, from_a: bool = True) -> RouteSet:
    """The place of a request inside a dialog between alice and bob; *sender* is its From."""
    tags = {"tag": "1", "to_tag": "2"} if from_a else {"tag": "2", "to_tag": "1"}
    asked = request(sender=sender, routes=[route(token(ALICE_SIDE, BOB_SIDE))], **tags)
    return take_place(asked, FRONT_END.names, TOKENS)


@pytest.mark.parametrize(
    ("sender", "from_a", "who"),
    [(ALICE, True, ALICE), (BOB, True, BOB), ("sip:sales@example.test", False, BOB), ("tel:+1", True, ALICE)],
)
def test_inside_a_dialog_a_client_is_the_user_of_its_side_or_another_that_it_proved(
    sender: str, who: str, *, from_a: bool
) -> None:
    """RFC 4916 allows another From there, but only another name of the same user."""
    found = assertion.in_dialog(request(sender=sender), place_of(sender, from_a=from_a), BOTH, frozenset())
    assert found == who


@pytest.mark.parametrize(
    ("server", "who"),
    [(MATE, ALICE), (MATE, BOB), (FROM_EDGE, CAROL), (FROM_NEWS, "sip:desk@news.test"), (FROM_PARTNER, CAROL)],
)
def test_server_may_assert_the_domains_of_its_entry(server: ServerSender, who: str) -> None:
    asked = request("INVITE", BOB, *asserting(who), sender="sip:anonymous@anonymous.invalid")
    assert assertion.of_server(asked, server, server.peer.asserts) == who
    assert assertion.in_dialog(asked, NOWHERE, server, server.peer.asserts) == who


@pytest.mark.parametrize(
    ("server", "who"),
    [(MATE, CAROL), (FROM_EDGE, ALICE), (FROM_BOT, ALICE), (FROM_NEWS, ALICE), (FROM_PARTNER, ALICE)],
)
def test_server_may_not_assert_other_domains(server: ServerSender, who: str) -> None:
    asked = request("INVITE", BOB, *asserting(who))
    assert code(assertion.of_server(asked, server, server.peer.asserts)) is Code.ASSERTION_NOT_ALLOWED
    assert code(assertion.in_dialog(asked, NOWHERE, server, server.peer.asserts)) is Code.ASSERTION_NOT_ALLOWED


@pytest.mark.parametrize("claims", [(ALICE, CAROL), (CAROL, ALICE)])
def test_one_forbidden_assertion_refuses_the_request(claims: tuple[str, str]) -> None:
    found = assertion.of_server(request("INVITE", BOB, *asserting(*claims)), MATE, OURS)
    assert code(found) is Code.ASSERTION_NOT_ALLOWED


@pytest.mark.parametrize(("sender", "allowed"), [(ALICE, True), (CAROL, False), ("tel:+1", False)])
def test_server_without_assertion_is_checked_by_its_from(sender: str, *, allowed: bool) -> None:
    found = assertion.of_server(request(sender=sender), MATE, OURS)
    assert (found == sender) if allowed else (code(found) is Code.FROM_NOT_ALLOWED)


@pytest.mark.parametrize("sender", [f"{ALICE};verstat=TN-Validation-Passed", "sip:alice;VerStat=x@example.test"])
def test_from_with_verstat_is_refused(sender: str) -> None:
    assert code(assertion.of_client(request(sender=sender), ALICES, OURS)) is Code.FROM_NOT_ALLOWED
    assert code(assertion.of_server(request(sender=sender), MATE, OURS)) is Code.FROM_NOT_ALLOWED


def test_an_empty_allow_list_allows_no_peer() -> None:
    assert code(assertion.of_server(request(), FROM_BOT, frozenset())) is Code.FROM_NOT_ALLOWED


def test_inside_a_dialog_a_server_need_not_assert_anything() -> None:
    assert assertion.in_dialog(request(sender=BOB, to_tag="2"), NOWHERE, MATE, OURS) is None


@pytest.mark.parametrize(
    ("server", "claim", "sender", "allowed"),
    [
        (FROM_NEWS, "sip:desk@news.test", ALICE, False),
        (FROM_NEWS, "sip:desk@news.test", "tel:+1", False),
        (FROM_NEWS, "sip:desk@news.test", "sip:anonymous@anonymous.invalid", True),
        (FROM_NEWS, "sip:desk@news.test", "sip:other@news.test", True),
        (FROM_EDGE, CAROL, BOB, False),
    ],
)
def test_from_is_checked_even_with_an_assertion(
    server: ServerSender, claim: str, sender: str, *, allowed: bool
) -> None:
    """A phone shows From: an assertion that is the server's to make lends it no other name."""
    found = assertion.of_server(request("INVITE", BOB, *asserting(claim), sender=sender), server, server.peer.asserts)
    assert (found == claim) if allowed else (code(found) is Code.FROM_NOT_ALLOWED)


def test_from_with_verstat_is_refused_though_its_user_is_asserted() -> None:
    asked = request("INVITE", BOB, *asserting(ALICE), sender=f"{ALICE};verstat=TN-Validation-Passed")
    assert code(assertion.of_server(asked, MATE, OURS)) is Code.FROM_NOT_ALLOWED


@pytest.mark.parametrize(
    ("sender", "claimed"),
    [(ALICE, True), ("sips:alice@example.test;transport=tls", True), (BOB, False), ("tel:+1", False)],
)
def test_name_is_claimed_if_it_has_the_user_and_the_domain_of_the_first_assertion(
    sender: str, *, claimed: bool
) -> None:
    asked = request("INVITE", BOB, *asserting(ALICE, BOB), sender=sender)
    assert assertion.is_claimed(asked.from_, assertion.asserted(asked)) is claimed
    assert not assertion.is_claimed(asked.from_, [])


@pytest.mark.parametrize(
    ("sender", "claims", "kept"),
    [
        (MATE, [BOB], True),
        (MATE, [BOB, CAROL], False),
        (MATE, [CAROL], False),
        (MATE, ["tel:+1"], False),
        (FROM_EDGE, [CAROL], True),
        (FROM_BOT, [BOB], False),
        (FROM_PARTNER, [CAROL], False),
        (ALICES, [ALICE], False),
        (None, [ALICE], False),
    ],
    ids=["ours", "one-too-many", "theirs", "number", "edge", "application", "partner", "client", "nobody"],
)
def test_a_response_keeps_the_identities_that_its_sender_may_assert(
    sender: Sender | None, claims: list[str], *, kept: bool
) -> None:
    """Of a partner it keeps none: R10 has us take its identity from the From that was checked."""
    answered = response(200, *asserting(*claims))
    assertion.remove_foreign_assertion(answered, sender)
    assert bool(answered.count("p-asserted-identity")) is kept


def test_malformed_assertion_in_a_response_is_removed() -> None:
    answered = response(200, ("p-asserted-identity", "<sip:[>"))
    assertion.remove_foreign_assertion(answered, MATE)
    assert not answered.count("p-asserted-identity")


def test_a_response_that_asserts_nothing_stays_byte_for_byte() -> None:
    answered = response(200, ("subject", "x"))
    before = answered.encode()
    assertion.remove_foreign_assertion(answered, FROM_PARTNER)
    assert answered.encode() == before


def test_partners_are_refused_by_the_name_that_was_proved() -> None:
    found = assertion.by_from(request(), FROM_PARTNER, PARTNERS)
    assert isinstance(found, Answer)
    assert "sip.partner.test" in found.why


NUMBER = "tel:+49-30-123"


def has_number(name: str) -> str:
    """Alice has the number +4930123, the name sales in her domain, and info in another domain of ours."""
    keys = {"tel:+4930123", "sip:sales@example.test", "sip:info@bots.test"}
    return ALICE if keys & {*alias_keys(name)} else ""


@pytest.mark.parametrize("sender", [NUMBER, "sip:+4930123@example.test;user=phone", "sip:Sales@example.test"])
def test_alias_in_from_is_only_for_its_user(sender: str) -> None:
    """A link may prove another user, whose password is asked for; a number without domain has no realm for that."""
    asked, theirs = request(sender=sender), replace(BOBS, owner_of=has_number)
    assert assertion.of_client(asked, replace(ALICES, owner_of=has_number), OURS) == ALICE
    refused = assertion.of_client(asked, theirs, OURS)
    assert refused == Prove(ALICE, 407) if sender != NUMBER else code(refused) is Code.FROM_NOT_ALLOWED
    assert assertion.of_client(asked, replace(ALICES, owner_of=nobody), OURS) != ALICE


def test_before_a_login_an_alias_shows_nothing_of_its_user() -> None:
    """A realm of another domain, or a challenge where an unknown number gets none, would tell a stranger whose it is."""
    stranger, ours = replace(NEW_LINK, owner_of=has_number), OURS | {"bots.test"}
    assert assertion.of_client(request(sender="sip:sales@example.test"), stranger, ours) == Prove(ALICE, 407)
    assert assertion.of_client(request(sender="sip:info@bots.test"), stranger, ours) == Prove("sip:info@bots.test", 407)
    for number in (NUMBER, "tel:+49309"):
        assert code(assertion.of_client(request(sender=number), stranger, ours)) is Code.FROM_NOT_ALLOWED


def test_inside_a_dialog_an_alias_is_its_user() -> None:
    both = replace(BOTH, owner_of=has_number)
    found = assertion.in_dialog(request(sender=NUMBER), place_of(NUMBER, from_a=False), both, frozenset())
    assert found == ALICE


def test_front_end_of_ours_may_send_as_a_number_of_our_user_and_a_partner_may_not() -> None:
    mate, partner = replace(MATE, owner_of=has_number), replace(FROM_PARTNER, owner_of=has_number)
    assert assertion.of_server(request(sender=NUMBER), mate, OURS) == ALICE
    assert assertion.of_server(request("INVITE", BOB, *asserting(ALICE), sender=NUMBER), mate, OURS) == ALICE
    assert code(assertion.of_server(request(sender=NUMBER), partner, PARTNERS)) is Code.FROM_NOT_ALLOWED
    faked = request("INVITE", BOB, *asserting("sip:+4930123@partner.test"), sender=CAROL)
    assert code(assertion.of_server(faked, partner, PARTNERS)) is Code.ASSERTION_NOT_ALLOWED
    own = request("INVITE", BOB, *asserting("sip:+4930999@partner.test"), sender=CAROL)
    assert assertion.of_server(own, partner, PARTNERS) == "sip:+4930999@partner.test"
