import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.messages import OURS, PARTNERS, request
from sipmesh.routing.identity.realm import Realms, lacks_challenge
from sipmesh.sip.message import respond
from sipmesh.sip.rows import made_row

REALMS = Realms(OURS, PARTNERS)


@pytest.mark.parametrize(
    ("realm", "domains", "belongs"),
    [
        ("example.test", frozenset(), False),
        ("EXAMPLE.test.", OURS, False),
        (" example.test\t", frozenset(), False),
        ("partner.test", PARTNERS, True),
        ("Partner.TEST", frozenset(), False),
        ("asterisk", frozenset(), True),
        ("sub.example.test", frozenset(), True),
    ],
)
def test_realm_belongs_to_its_owner_or_is_unowned(realm: str, domains: frozenset[str], *, belongs: bool) -> None:
    assert REALMS.belongs_to(realm, domains) is belongs


@pytest.mark.parametrize(
    ("realm", "belongs"),
    [("partner.test", True), ("Partner.Example.", True), ("asterisk", False), ("example.test", False), ("", False)],
)
def test_partner_has_the_realms_of_its_domains_only(realm: str, *, belongs: bool) -> None:
    """What a phone answers in a realm without an owner is a digest of the password that it has for us."""
    assert REALMS.belongs_to(realm, PARTNERS, is_outside=True) is belongs
    challenge = made_row("www-authenticate", f'Digest realm="{realm}", nonce="n"')
    assert REALMS.challenge_passes(challenge, PARTNERS, is_outside=True) is belongs
    row = made_row("authorization", f'Digest username="a", realm="{realm}", nonce="n", uri="sip:x", response="0"')
    assert REALMS.credentials_pass(row, PARTNERS, is_outside=True) is belongs


@given(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=60))
def test_no_row_raises_an_error(value: str) -> None:
    for name in ("www-authenticate", "authorization"):
        row = made_row(name, value)
        assert REALMS.challenge_passes(row, frozenset()) in {True, False}
        assert REALMS.credentials_pass(row, frozenset()) in {True, False}


@pytest.mark.parametrize(
    ("status", "headers", "lacks"),
    [
        (401, [], True),
        (407, [], True),
        (401, [("www-authenticate", "x")], False),
        (401, [("proxy-authenticate", "x")], False),
        (403, [], False),
        (200, [], False),
    ],
)
def test_response_401_without_a_challenge_is_detected(
    status: int, headers: list[tuple[str, str]], *, lacks: bool
) -> None:
    assert lacks_challenge(respond(request(), status, headers=headers)) is lacks
