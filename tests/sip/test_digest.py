"""Digest: the examples of the RFCs, client and server against each other, and nonces with their counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sipmessage import AuthChallenge, AuthCredentials

from sipmesh.errors import RemoteError
from sipmesh.sip.digest import (
    MAX_FIELDS,
    Algorithm,
    Credentials,
    DigestChallenge,
    Nonces,
    NonceState,
    answer,
    challenge_values,
    ha1,
    is_digest,
    parse_challenge,
    realm_of_credentials,
    verify,
)

PASSWORD = "secret"
MD5, SHA_256 = Algorithm.MD5, Algorithm.SHA_256

# RFC 7616 3.9.1: one user, one page, both algorithms.
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
RFC = DigestChallenge("http-auth@example.org", NONCE, MD5, ("auth", "auth-int"), stale=False, opaque=OPAQUE)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        (MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (SHA_256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616(algorithm: Algorithm, response: str) -> None:
    challenge = replace(RFC, algorithm=algorithm)
    value = answer([challenge], "Mufasa", "Circle of Life", "GET", "/dir/index.html", CNONCE, 1)
    given_back = Credentials.parse(value)
    assert (given_back.response, given_back.opaque, given_back.nc) == (response, OPAQUE, 1)
    assert verify(given_back, "GET", ha1("Mufasa", RFC.realm, "Circle of Life", algorithm))


def credentials(secret: str = PASSWORD, method: str = "MESSAGE", algorithm: Algorithm = SHA_256) -> Credentials:
    challenge = parse_challenge(challenge_values("example.test", "n", [algorithm], stale=False)[0])
    return Credentials.parse(answer([challenge], "alice", secret, method, "sip:example.test", "c", 1))


def test_the_right_password_is_proved_and_a_wrong_one_is_not() -> None:
    secret = ha1("alice", "example.test", "secret", SHA_256)
    assert verify(credentials(), "MESSAGE", secret)
    assert not verify(credentials("guess"), "MESSAGE", secret)
    assert not verify(credentials(method="REGISTER"), "MESSAGE", secret)
    assert not verify(credentials(), "MESSAGE", ha1("alice", "example.test", "secret", MD5))


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "m"},
        {"nc": 2},
        {"cnonce": "d"},
        {"uri": "sip:other.test"},
        {"response": ""},
        {"response": "\udcff"},
        {"qop": None},
        {"qop": "auth-int"},
        {"cnonce": None},
        {"cnonce": ""},
    ],
)
def test_changed_credentials_are_refused(change: dict[str, str | int | None]) -> None:
    """Without qop=auth the hash does not cover the count. Such credentials are refused even if the hash is right."""
    touched = replace(credentials(), **change)  # type: ignore[arg-type]  # one field of any type at a time
    assert not verify(touched, "MESSAGE", ha1("alice", "example.test", "secret", SHA_256))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")), st.sampled_from(Algorithm))
def test_any_user_and_password_go_through(text: str, algorithm: Algorithm) -> None:
    challenge = parse_challenge(challenge_values(text, "n", [algorithm], stale=True)[0])
    back = Credentials.parse(answer([challenge], text, text, "REGISTER", "sip:a", "c", 1))
    assert (challenge.stale, challenge.realm, back.username) == (True, text, text)
    assert verify(back, "REGISTER", ha1(text, text, text, algorithm))


def test_sipmessage_reads_what_we_write() -> None:
    challenge = AuthChallenge.parse(challenge_values("example.test", "n", [SHA_256], stale=False)[0])
    assert dict(challenge.parameters) == {"realm": "example.test", "nonce": "n", "algorithm": "SHA-256", "qop": "auth"}
    value = answer([RFC], "Mufasa", "pw", "GET", "/", "c", 1)
    assert "nc=00000001" in str(AuthCredentials.parse(value))


def test_the_strongest_challenge_is_answered_at_any_place() -> None:
    weak, strong = replace(RFC, algorithm=MD5), replace(RFC, algorithm=SHA_256)
    for order in ([weak, strong], [strong, weak]):
        assert Credentials.parse(answer(order, "u", "p", "GET", "/", "c", 1)).algorithm is SHA_256


def test_unsupported_challenge_is_skipped() -> None:
    unknown, integrity = replace(RFC, algorithm=None), replace(RFC, algorithm=SHA_256, qop=("auth-int",))
    assert Credentials.parse(answer([unknown, integrity, RFC], "u", "p", "GET", "/", "c", 1)).algorithm is MD5
    with pytest.raises(RemoteError):
        answer([unknown, integrity], "u", "p", "GET", "/", "c", 1)


def test_challenge_without_qop_is_answered_by_rfc_2617() -> None:
    """RFC 2617 3.2.1: some servers still offer none; the example is RFC 2069's, as corrected."""
    old = DigestChallenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", MD5, (), stale=False, opaque=None)
    back = Credentials.parse(answer([old], "Mufasa", "CircleOfLife", "GET", "/dir/index.html", "c", 1))
    assert (back.response, back.qop) == ("1949323746fe6a43ef61f9606e7febea", None)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic dXNlcjpwdw==",
        "Digest",
        'Digest username="a"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", nc=1',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", nc=0000000g',
        'Digest username="a", username="b", realm="r", nonce="n", uri="u", response="x"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x",',
    ],
)
def test_broken_credentials_are_a_bad_request(value: str) -> None:
    with pytest.raises(RemoteError) as wrong:
        Credentials.parse(value)
    assert wrong.value.status == 400


@pytest.mark.parametrize("name", ["SHA-512-256", "SHA-256-sess", "AKAv1-MD5"])
def test_credentials_with_an_algorithm_that_we_do_not_support_are_read_and_prove_nothing(name: str) -> None:
    """RFC 3261 22.3: they may be for another realm, which is read here."""
    read = Credentials.parse(f'Digest username="a", realm="r", nonce="n", uri="u", response="x", algorithm={name}')
    assert (read.realm, read.algorithm) == ("r", None)
    assert not verify(replace(read, qop="auth", cnonce="c"), "REGISTER", ha1("a", "r", "x", MD5))


@pytest.mark.parametrize("cnonce", ["a,b", 'a,b="c', "a=<b,c>", 'a\\",b="c', ",", ""])
def test_comma_within_quotes_does_not_end_a_field(cnonce: str) -> None:
    quoted = cnonce.replace("\\", "\\\\").replace('"', '\\"')
    value = f'Digest username="a", realm="r", nonce="n", uri="u", response="x", cnonce="{quoted}", nc=0000000A'
    read = Credentials.parse(value)
    assert (read.cnonce, read.nc) == (cnonce, 10)


@pytest.mark.parametrize("value", ["cnonce=<a,b>", 'Cnonce = "<a,b>"', 'CNONCE\t=\t"<a,b>"'])
def test_field_may_be_written_in_other_letters_and_with_blanks(value: str) -> None:
    read = Credentials.parse(f'Digest username="a", realm="r", nonce="n", uri="u", response="x" ,{value}')
    assert read.cnonce == "<a,b>"


@pytest.mark.parametrize(
    "value",
    [
        'Digest username="a"b, realm="r", nonce="n", uri="u", response="x"',
        'Digest username=b"a", realm="r", nonce="n", uri="u", response="x"',
        'Digest "username"="a", realm="r", nonce="n", uri="u", response="x"',
        'Digest username="a""b", realm="r", nonce="n", uri="u", response="x"',
        'Digest username="a" realm="r", nonce="n", uri="u", response="x"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", opaque="',
        '"Digest" username="a", realm="r", nonce="n", uri="u", response="x"',
    ],
)
def test_quotes_around_anything_but_a_whole_value_are_a_bad_request(value: str) -> None:
    with pytest.raises(RemoteError) as wrong:
        Credentials.parse(value)
    assert wrong.value.status == 400


def test_credentials_of_one_form_have_values_of_their_own() -> None:
    """What is between the quotes is no part of the form, in any form; an unquoted value is."""
    form = 'Digest username="{}", realm="{}", nonce="n", uri="u", response="x", nc=0000000{}, cnonce="{}"'
    for name, realm, count, cnonce in [("alice", "a", 1, "c"), ("bob", 'nonce="'[:6], 2, ""), ("", "b, c=d", 1, "<")]:
        read = Credentials.parse(form.format(name, realm, count, cnonce))
        assert (read.username, read.realm, read.nc, read.cnonce) == (name, realm, count, cnonce)
        assert (read.nonce, read.uri, read.response) == ("n", "u", "x")


@pytest.mark.parametrize(
    ("value", "digest"),
    [('Digest realm="r"', True), ("DIGEST\ta=b", True), ("NoOneKnows x", False), ("Digestive a", False)],
)
def test_other_schemes_are_ignored(value: str, *, digest: bool) -> None:
    assert is_digest(value) is digest


LINK = 7


@pytest.fixture(name="nonces")
def _nonces() -> Nonces:
    return Nonces(b"a key of this server", 60.0, remembered=3)


def minted(nonces: Nonces, at: float, count: int = 1) -> list[str]:
    return [nonces.mint(at, bytes([number]) * 8, LINK) for number in range(count)]


def test_a_nonce_may_be_used_again_with_a_higher_count_only(nonces: Nonces) -> None:
    (nonce,) = minted(nonces, 100.0)
    states = [nonces.judge(nonce, count, 101.0, LINK) for count in (1, 1, 3, 2, 4, 0)]
    fresh, replayed = NonceState.FRESH, NonceState.REPLAYED
    assert states == [fresh, replayed, fresh, replayed, fresh, replayed]


@pytest.mark.parametrize(("at", "state"), [(100.0, "fresh"), (160.0, "fresh"), (160.1, "stale"), (99.9, "stale")])
def test_nonce_is_fresh_until_its_lifetime_ends(nonces: Nonces, at: float, state: str) -> None:
    (nonce,) = minted(nonces, 100.0)
    assert nonces.judge(nonce, 1, at, LINK).value == state


def test_a_nonce_of_another_key_is_forged(nonces: Nonces) -> None:
    (nonce,) = minted(Nonces(b"another key of it", 60.0), 100.0)
    assert nonces.judge(nonce, 1, 101.0, LINK) is NonceState.FORGED


def test_a_nonce_of_another_link_is_forged(nonces: Nonces) -> None:
    (nonce,) = minted(nonces, 100.0)
    assert nonces.judge(nonce, 1, 101.0, LINK + 1) is NonceState.FORGED
    assert nonces.judge(nonce, 1, 101.0, LINK) is NonceState.FRESH


@given(st.text(max_size=60) | st.text(alphabet="abcABC019-_+/=", min_size=44, max_size=44))
def test_malformed_nonce_is_forged(text: str) -> None:
    assert Nonces(b"a key of this server", 60.0).judge(text, 1, 0.0, LINK) is NonceState.FORGED


def test_another_spelling_of_a_used_nonce_is_still_used(nonces: Nonces) -> None:
    """Base64 has two alphabets. The count belongs to the octets, not to their spelling."""
    for nonce in (nonces.mint(100.0, number.to_bytes(8, "big"), LINK) for number in range(64)):
        other = nonce.replace("-", "+").replace("_", "/")
        if other != nonce:
            nonces.judge(nonce, 1, 100.0, LINK)
            assert nonces.judge(other, 1, 100.0, LINK) is not NonceState.FRESH
            return


def test_memory_is_bounded_and_forgotten_nonces_are_stale(nonces: Nonces) -> None:
    used = [nonces.mint(100.0 + number, bytes(8), LINK) for number in range(5)]
    assert [nonces.judge(nonce, 1, 110.0, LINK) for nonce in used] == [NonceState.FRESH] * 5
    assert repr(nonces) == "<Nonces 3 of 3 remembered, 60.0 s each>"
    states = [nonces.judge(nonce, 1, 110.0, LINK) for nonce in used]
    assert states == [NonceState.STALE] * 2 + [NonceState.REPLAYED] * 3
    assert nonces.judge(nonces.mint(101.0, b"another!", LINK), 1, 110.0, LINK) is NonceState.STALE


def test_expired_nonces_are_forgotten(nonces: Nonces) -> None:
    first, second = nonces.mint(100.0, bytes(8), LINK), nonces.mint(150.0, bytes(8), LINK)
    nonces.judge(first, 1, 100.0, LINK)
    assert nonces.judge(second, 1, 170.0, LINK) is NonceState.FRESH
    assert repr(nonces).startswith("<Nonces 1 of 3")
    assert nonces.judge(nonces.mint(120.0, b"another!", LINK), 1, 170.0, LINK) is NonceState.FRESH


@pytest.mark.parametrize(("more", "is_read"), [(0, True), (1, False)])
@pytest.mark.parametrize("value", ["1", '"1"', '"\\1"'])
def test_digest_has_a_bounded_number_of_fields(value: str, more: int, *, is_read: bool) -> None:
    fields = [f"x{number}={value}" for number in range(MAX_FIELDS - 1 + more)]
    text = f'Digest realm="example.test",{",".join(fields)}'
    if is_read:
        assert realm_of_credentials(text) == "example.test"
    else:
        with pytest.raises(RemoteError, match="digest fields"):
            realm_of_credentials(text)
