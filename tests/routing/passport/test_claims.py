"""The claims of a PASSporT: canonical names, fingerprints, and what cannot be read."""

from __future__ import annotations

import pytest

from routing.messages import ALICE, BOB, request
from sipmesh.errors import RemoteError
from sipmesh.routing.passport.claims import Claims, canonical, claims_of, keys_in, read_claims
from support.descriptions import DTLS, FINGERPRINT, SDES, SESSION, with_body

DIGEST = 32 * "AB"
KEYS = frozenset({("sha-256", DIGEST)})


def test_claims_are_written_in_canonical_form() -> None:
    """RFC 8225 section 9: sorted names and no blanks; 5.2.2: the digest has no colons."""
    claims = claims_of(with_body(request(), DTLS), 1471375418, "example.test")
    assert claims == Claims(("uri", ALICE), frozenset({("uri", BOB)}), 1471375418, KEYS)
    assert claims.encode() == (
        b'{"dest":{"uri":["sip:bob@example.test"]},"iat":1471375418,"mky":[{"alg":"sha-256","dig":"'
        + DIGEST.encode()
        + b'"}],"orig":{"uri":"sip:alice@example.test"}}'
    )
    assert read_claims(claims.encode()) == claims


def test_claims_without_fingerprints_have_no_mky() -> None:
    for message in (request(), with_body(request(), SDES)):
        assert b"mky" not in claims_of(message, 1, "example.test").encode()


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("sip:Alice@Example.Test;transport=tls", ("uri", "sip:Alice@example.test")),
        ("tel:+1-212-555-1212", ("tn", "12125551212")),
        ("tel:+1(212)555.1212;ext=5", ("tn", "12125551212")),
        ("sip:+12125551212@example.test", ("tn", "12125551212")),
        ("sip:2125551212@example.test;user=phone", ("tn", "2125551212")),
        ("sip:2125551212@example.test", ("uri", "sip:2125551212@example.test")),
    ],
)
def test_canonical_names(uri: str, name: tuple[str, str]) -> None:
    assert canonical(uri) == name


@pytest.mark.parametrize("uri", ["tel:", "tel:+12x", "mailto:a@b.test", "sip:+@example.test"])
def test_what_is_no_name_is_refused(uri: str) -> None:
    with pytest.raises(RemoteError):
        canonical(uri)


def test_each_fingerprint_counts_once() -> None:
    """Those of the session and of each section, in any spelling."""
    body = SESSION + FINGERPRINT + b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" + FINGERPRINT.lower()
    body += b"m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:SHA-1 0a:0B\r\n"
    assert keys_in(with_body(request(), body)) == KEYS | {("sha-1", "0A0B")}


@pytest.mark.parametrize("value", [b"sha-256", b"sha-256 XY"])
def test_malformed_fingerprint_is_refused(value: bytes) -> None:
    with pytest.raises(RemoteError):
        keys_in(with_body(request(), SESSION + b"a=fingerprint:" + value + b"\r\n"))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"orig":{"uri":"a"},"orig":{"uri":"b"},"dest":{"uri":["b"]},"iat":1}',
        b'{"orig":{"uri":"a"},"dest":{"uri":["b"]},"iat":"1"}',
        b'{"orig":{"uri":"a"},"dest":{"uri":["b"]},"iat":true}',
        b'{"orig":{"uri":"a","tn":"1"},"dest":{"uri":["b"]},"iat":1}',
        b'{"orig":{},"dest":{"uri":["b"]},"iat":1}',
        b'{"orig":{"uri":1},"dest":{"uri":["b"]},"iat":1}',
        b'{"orig":{"uri":"a"},"dest":{"uri":[1]},"iat":1}',
        b'{"orig":{"uri":"a"},"dest":["b"],"iat":1}',
        b'{"orig":{"uri":"a"},"dest":{"uri":["b"]},"iat":1,"mky":[{"alg":"x"}]}',
        b'{"orig":{"uri":"a"},"dest":{"uri":[' + b",".join(17 * [b'"b"']) + b']},"iat":1}',
    ],
)
def test_claims_that_are_not_those_of_a_call_are_refused(payload: bytes) -> None:
    with pytest.raises(RemoteError) as refused:
        read_claims(payload)
    assert refused.value.status == 438
