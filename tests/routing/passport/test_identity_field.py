"""The Identity header field is written and read, and each fault has the status of RFC 8224."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sipmesh.errors import RemoteError
from sipmesh.routing.passport.identity_field import LARGEST, TYPE, read_field, write_field
from sipmesh.topology.versions.jose import sign
from support.call_signer import SIGNER, mirrored

PAYLOAD = b'{"iat":1}'
TOKEN_WITHOUT_X5C = urlsafe_b64encode(b'{"alg":"ES256","typ":"passport","x5u":"sip:example.test"}').decode().rstrip("=")


def key() -> ec.EllipticCurvePrivateKey:
    assert isinstance(SIGNER.key, ec.EllipticCurvePrivateKey)
    return SIGNER.key


def written() -> str:
    return write_field(PAYLOAD, "example.test", SIGNER.chain, key(), "ES256")


def test_field_that_was_written_is_read() -> None:
    value = written()
    assert value.endswith(";info=<sip:example.test>;alg=ES256")
    found = read_field(value)
    assert (found.payload, found.chain) == (PAYLOAD, tuple(SIGNER.chain))


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (";info=<sip:example.test>", "", 436),
        (".", "..", 438),
        (";info", "A;info", 438),
        ("ey", "\u0661", 438),
    ],
)
def test_changed_field_is_refused(old: str, new: str, status: int) -> None:
    with pytest.raises(RemoteError) as refused:
        read_field(written().replace(old, new, 1))
    assert refused.value.status == status


def test_second_signature_with_the_same_r_has_the_same_mark() -> None:
    """Without the key, (r, s) can be turned into (r, n - s): it must not count as another token."""
    assert read_field(mirrored(written())).mark != read_field(written()).mark  # another signature
    value = written()
    assert mirrored(value) != value
    assert read_field(mirrored(value)).mark == read_field(value).mark


def test_other_documents_and_large_tokens_are_refused() -> None:
    """A signed topology is no PASSporT, although the same key may sign both."""
    for payload, kind in ((PAYLOAD, "sipmesh-topology"), (LARGEST * b"x", TYPE)):
        token = sign(payload, kind, SIGNER.chain, key(), x5u="sip:example.test").decode()
        with pytest.raises(RemoteError) as refused:
            read_field(f"{token};info=<sip:example.test>")
        assert refused.value.status == 438


def test_token_without_a_certificate_is_refused_with_436() -> None:
    token = f"{TOKEN_WITHOUT_X5C}.{written().partition('.')[2]}"
    with pytest.raises(RemoteError) as refused:
        read_field(token)
    assert refused.value.status == 436
