import pytest

from routing.messages import ALICE, ALICES, BOB, CAROL, FROM_BOT, FROM_EDGE, FROM_PARTNER, MATE, OURS, PARTNERS, request
from sipmesh.routing.identity.border import IN_REQUESTS, IN_RESPONSES, ON_THE_WAY_OUT, TABLE, Border, Rule
from sipmesh.routing.identity.realm import Realms
from sipmesh.routing.identity.sender import Sender
from sipmesh.sip.message import respond
from sipmesh.sip.names import wire_name
from sipmesh.trust.evidence import LinkKind
from support.checkout import DOCS

BORDER = Border(Realms(OURS, PARTNERS), PARTNERS)
DOCUMENT = DOCS / "identity.md"
INSIDERS = {MATE, FROM_BOT}
SENDERS = [ALICES, MATE, FROM_EDGE, FROM_BOT, FROM_PARTNER]
VALUES = {
    Rule.REMOVED: f"<{ALICE}>",
    Rule.OWN: f"<{ALICE}>",
    Rule.INSIDE: "<sip:example.test>;answer-after=0",
    Rule.VERIFIED: f"<{CAROL}>",
    Rule.RESULT: "TN-Validation-Passed;attest=A",
    Rule.CHALLENGE: 'Digest realm="trunk.test", nonce="n"',
    Rule.CREDENTIALS: 'Digest username="a", realm="trunk.test", nonce="n", uri="x", response="r"',
}
FIELDS = list(TABLE.items())


@pytest.mark.parametrize("rule", Rule)
def test_the_page_has_the_same_table(rule: Rule) -> None:
    word = rule.name.lower()
    (row,) = [line for line in DOCUMENT.read_text().splitlines() if line.startswith(f"| *{word}*")]
    fields = {name.strip().lower() for name in row.split("|")[2].split(",")}
    assert fields == {name for name, its in TABLE.items() if its is rule}


@pytest.mark.parametrize("sender", SENDERS)
def test_each_field_of_a_request_follows_its_rule(sender: Sender) -> None:
    for name, rule in FIELDS:
        asked = request("MESSAGE", BOB, (name, VALUES[rule]), ("subject", "kept"))
        assert asked.present & (IN_REQUESTS | ON_THE_WAY_OUT), f"{wire_name(name)} would not be looked at"
        BORDER.admit_request(asked, sender)
        own = (rule is Rule.OWN and sender in {ALICES, MATE}) or (rule is Rule.INSIDE and sender in INSIDERS)
        verified = rule is Rule.VERIFIED and sender in {MATE, FROM_EDGE}
        verified = verified or (rule is Rule.RESULT and sender is MATE)
        assert asked.has(name) is (own or verified or rule is Rule.CREDENTIALS), name
        assert asked.has("subject")


@pytest.mark.parametrize("sender", SENDERS)
def test_each_field_of_a_response_follows_its_rule(sender: Sender) -> None:
    for name, rule in FIELDS:
        answered = respond(request("MESSAGE"), 200, headers=[(name, VALUES[rule]), ("subject", "kept")])
        assert answered.present & IN_RESPONSES, f"{wire_name(name)} would not be looked at"
        BORDER.admit_response(answered, sender)
        own = (rule is Rule.OWN and sender in {ALICES, MATE}) or (rule is Rule.INSIDE and sender in INSIDERS)
        trunk = rule is Rule.CHALLENGE and sender in {
            MATE,
            FROM_BOT,
        }  # a partner has the realms of its own domains only
        assert answered.has(name) is (own or trunk), name
        assert answered.has("subject")


@pytest.mark.parametrize(
    ("sender", "values", "kept"),
    [
        (ALICES, [ALICE], True),
        (ALICES, [ALICE, BOB], False),
        (ALICES, ["tel:+1"], False),
        (MATE, [ALICE, CAROL], True),
        (FROM_EDGE, [CAROL], True),
        (FROM_EDGE, [ALICE], False),
        (FROM_PARTNER, [CAROL], True),
        (FROM_PARTNER, [CAROL, "sip:x@elsewhere.test"], False),
        (FROM_BOT, [ALICE], False),
    ],
)
def test_diversion_is_kept_if_the_sender_may_use_all_addresses(
    sender: Sender, values: list[str], *, kept: bool
) -> None:
    asked = request("INVITE", BOB, ("diversion", ", ".join(f"<{value}>;reason=busy" for value in values)))
    BORDER.admit_request(asked, sender)
    assert asked.has("diversion") is kept


@pytest.mark.parametrize("value", ["<sip:[>", "", "alice", f"<{ALICE}>,"])
def test_malformed_addresses_are_removed(value: str) -> None:
    asked = request("INVITE", BOB, ("history-info", value))
    BORDER.admit_request(asked, ALICES)
    assert not asked.has("history-info")


@pytest.mark.parametrize(
    ("kind", "private", "kept"),
    [
        (LinkKind.SERVER, True, True),
        (LinkKind.CLIENT, True, False),
        (LinkKind.PARTNER, True, False),
        (LinkKind.PARTNER, False, True),
    ],
)
def test_privacy_hides_diversion_from_all_but_our_servers(kind: LinkKind, *, private: bool, kept: bool) -> None:
    asked = request("INVITE", BOB, ("history-info", f"<{ALICE}>"))
    BORDER.release(asked, kind, frozenset(), private=private)
    assert asked.has("history-info") is kept


@pytest.mark.parametrize(
    ("kind", "private", "kept"),
    [
        (LinkKind.SERVER, True, True),
        (LinkKind.CLIENT, False, True),
        (LinkKind.CLIENT, True, False),
        (LinkKind.PARTNER, False, False),
    ],
)
def test_clients_see_what_was_verified_and_partners_do_not(kind: LinkKind, *, private: bool, kept: bool) -> None:
    asked = request("INVITE", BOB, ("verified-identity", f"<{CAROL}>"))
    BORDER.release(asked, kind, frozenset(), private=private)
    assert asked.has("verified-identity") is kept


@pytest.mark.parametrize("field", ["authorization", "proxy-authorization"])
@pytest.mark.parametrize("kind", [LinkKind.SERVER, LinkKind.PARTNER])
def test_request_that_hides_its_sender_has_no_credentials(kind: LinkKind, field: str) -> None:
    for hidden in (False, True):
        asked = request(
            "INVITE", BOB, (field, 'Digest username="a", realm="partner.test", nonce="n", uri="x", response="r"')
        )
        BORDER.release(asked, kind, PARTNERS, private=hidden, hidden=hidden)
        assert asked.has(field) is not hidden


def test_edge_verifies_no_user_of_ours() -> None:
    asked = request("INVITE", BOB, ("verified-identity", f"<{ALICE}>"))
    BORDER.admit_request(asked, FROM_EDGE)
    assert not asked.has("verified-identity")


@pytest.mark.parametrize(
    ("realm", "domains", "kept"),
    [
        ("example.test", frozenset(), False),
        ("example.test", OURS, False),
        ("partner.test", PARTNERS, True),
        ("partner.test", frozenset(), False),
        ("trunk.test", frozenset(), True),
    ],
)
def test_credentials_go_to_the_owner_of_their_realm(realm: str, domains: frozenset[str], *, kept: bool) -> None:
    credentials = f'Digest username="a", realm="{realm}", nonce="n", uri="x", response="r"'
    asked = request("INVITE", BOB, ("authorization", credentials), ("proxy-authorization", "Basic YTpi"))
    BORDER.release(asked, LinkKind.SERVER, domains, private=False)
    assert asked.has("authorization") is kept
    assert not asked.has("proxy-authorization")
    BORDER.release(asked, LinkKind.CLIENT, domains, private=False)
    assert not asked.has("authorization")
