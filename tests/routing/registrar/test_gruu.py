"""GRUUs: what they lead to, and that only their pool makes temporary GRUUs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.messages import BOB, POOL, SECOND, request, row
from sipmesh.errors import LocalError
from sipmesh.routing.registrar.device import Instance, instance_hash, registration_hash
from sipmesh.routing.registrar.gruu import (
    LONGEST_AOR,
    LONGEST_TOKEN,
    NONCE_BYTES,
    Gruus,
    OpenedGruu,
    is_gruu,
    is_to_hidden_user,
    pool_hash,
    pool_of,
    public_device,
    public_gruu,
)
from sipmesh.sip.uri import SipUri

KEY = b"key of the pool"
GRUUS = Gruus(KEY, POOL)
URN = "<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"
ROW = row(instance=URN)
NONCE = bytes(range(NONCE_BYTES))


def temporary(one: Gruus = GRUUS, nonce: bytes = NONCE) -> SipUri:
    return SipUri.parse(one.temporary(ROW, nonce))


@pytest.mark.parametrize(
    ("uri", "found"), [(f"{BOB};gr=x", True), (f"{BOB};gr", True), (BOB, False), (f"{BOB};g=r", False)]
)
def test_gruu_has_the_gr_parameter(uri: str, *, found: bool) -> None:
    assert is_gruu(SipUri.parse(uri)) is found


@pytest.mark.parametrize(
    ("instance", "gruu"),
    [
        (URN, f"{BOB};gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
        ("<urn:x:a;b=c%>", f"{BOB};gr=urn:x:a%3Bb%3Dc%25"),
        ("<mailto:x>", ""),
        ("<urn:x", ""),
        ("urn:x>", ""),
        (None, ""),
    ],
)
def test_public_gruu_is_the_address_with_the_urn_of_the_instance(instance: str | None, gruu: str) -> None:
    assert public_gruu(row(instance=instance)) == gruu
    if instance is not None and gruu:
        uri = SipUri.parse(gruu)
        assert (uri.aor, public_device(uri)) == (BOB, Instance(instance_hash(instance)))


def test_gruu_of_a_sips_contact_is_sips() -> None:
    """RFC 5627 section 5.3: a request for it must not pass over less than TLS."""
    secure = replace(ROW, contact="sips:bob@192.0.2.9")
    assert public_gruu(secure).startswith("sips:bob@example.test;gr=urn:")
    assert GRUUS.temporary(secure, NONCE).startswith("sips:tgruu.")


def test_temporary_gruu_leads_to_the_instance_under_its_call_id_and_names_no_user() -> None:
    uri = temporary()
    assert (uri.host, uri.params) == ("example.test", (("gr", None),))
    assert "bob" not in str(uri)
    assert public_device(uri) is None
    assert GRUUS.open(uri) == OpenedGruu(BOB, Instance(instance_hash(URN), registration_hash("reg-1")))
    assert temporary(nonce=bytes(NONCE_BYTES)).user != uri.user


def test_other_servers_of_the_pool_open_it_and_other_pools_know_whose_it_is() -> None:
    uri = temporary()
    assert Gruus(KEY, POOL).open(uri) is not None
    assert Gruus(b"another key", POOL).open(uri) is None
    assert Gruus(KEY, SECOND).open(uri) is None
    assert pool_of(uri) == pool_hash(POOL) != pool_hash(SECOND)


@given(st.data())
def test_temporary_gruu_with_one_character_changed_is_none(data: st.DataObject) -> None:
    user = temporary().user or ""
    at = data.draw(st.integers(6, len(user) - 1))
    other = data.draw(st.sampled_from("ABCXYZabcxyz019-_~.").filter(lambda letter: letter != user[at]))
    assert GRUUS.open(replace(temporary(), user=f"{user[:at]}{other}{user[at + 1 :]}")) is None


def test_temporary_gruu_counts_in_the_domain_of_its_user_only() -> None:
    assert GRUUS.open(replace(temporary(), host="second.test")) is None


@pytest.mark.parametrize(
    "user", ["", "bob", "tgruu.", "tgruu.AAAA", "tgruu.*", f"tgruu.{'A' * LONGEST_TOKEN}", "tgruu.é"]
)
def test_other_text_is_no_temporary_gruu(user: str) -> None:
    uri = SipUri("sip", user, None, "example.test", params=(("gr", None),))
    assert (GRUUS.open(uri), pool_of(uri)) == (None, b"")


@pytest.mark.parametrize(("length", "made"), [(LONGEST_AOR, True), (LONGEST_AOR + 1, False)])
def test_user_with_a_very_long_address_has_no_temporary_gruu(length: int, *, made: bool) -> None:
    long = replace(ROW, aor=f"sip:{'b' * (length - len('@example.test'))}@example.test")
    text = GRUUS.temporary(long, NONCE)
    assert bool(text) is made
    if made:
        opened = GRUUS.open(SipUri.parse(text))
        assert opened is not None
        assert opened.aor == long.aor


def test_length_of_an_address_does_not_show() -> None:
    short = replace(ROW, aor="sip:b@example.test")
    assert len(GRUUS.temporary(short, NONCE)) == len(GRUUS.temporary(ROW, NONCE))


def test_request_for_a_temporary_gruu_is_for_a_hidden_user() -> None:
    """Also at the server that has the flow: there the Request-URI is the Contact, and To still has the GRUU."""
    hidden = str(temporary())
    assert is_to_hidden_user(request("INVITE", hidden))
    assert is_to_hidden_user(request("INVITE", "sip:bob@192.0.2.9", to=hidden))
    assert not is_to_hidden_user(request("INVITE", f"{BOB};gr=urn:uuid:1"))


def test_temporary_gruu_needs_an_instance_and_entropy() -> None:
    for one, nonce in ((row(), NONCE), (ROW, b"short")):
        with pytest.raises(LocalError):
            GRUUS.temporary(one, nonce)
