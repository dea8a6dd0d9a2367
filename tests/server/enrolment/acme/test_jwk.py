"""Keys of accounts: RFC 7638's example, and each key that is no public key of ours."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from sipmesh.server.enrolment.acme.jwk import Jwk
from sipmesh.server.enrolment.problem import AcmeProblemError
from sipmesh.sip import base64url
from support.acme_client import jwk
from support.enrolling import new_key

EXAMPLE = {  # RFC 7638 3.1
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn6"
    "4tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOp"
    "bISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}
KEY = new_key()


def test_thumbprint_is_that_of_the_rfc() -> None:
    found = Jwk.read(EXAMPLE)
    assert found.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert found.algorithm == "RS256"


def test_signatures_of_both_types_are_verified() -> None:
    private = rsa.generate_private_key(65537, 2048)
    numbers = private.public_key().public_numbers()
    octets = {
        name: base64url.encode(n.to_bytes((n.bit_length() + 7) // 8))
        for name, n in (("n", numbers.n), ("e", numbers.e))
    }
    read = Jwk.read({"kty": "RSA", **octets})
    signature = private.sign(b"text", padding.PKCS1v15(), SHA256())
    assert [read.has_signed(text, signature) for text in (b"text", b"other")] == [True, False]
    assert not Jwk.read(jwk(KEY)).has_signed(b"text", b"short")


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        {"kty": "oct", "k": "AAAA"},
        {**jwk(KEY), "d": "AAAA"},
        {**jwk(KEY), "crv": "P-521"},
        {**jwk(KEY), "x": jwk(new_key())["x"]},
        {**jwk(KEY), "x": "AA"},
        {**jwk(KEY), "x": 7},
        {**jwk(KEY), "x": "=="},
        {**EXAMPLE, "n": EXAMPLE["n"][:80]},
        {**EXAMPLE, "n": base64url.encode(b"\xff" * 1024)},
        {**EXAMPLE, "e": base64url.encode(b"\xff" * 64)},
    ],
)
def test_key_that_is_not_one_of_an_account_is_refused(given: Any) -> None:
    with pytest.raises(AcmeProblemError) as refused:
        Jwk.read(given)
    assert refused.value.kind == "badPublicKey"


def test_key_on_p_384_signs_with_its_own_algorithm() -> None:
    numbers = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
    x, y = (base64url.encode(number.to_bytes(48)) for number in (numbers.x, numbers.y))
    assert Jwk.read({"kty": "EC", "crv": "P-384", "x": x, "y": y}).algorithm == "ES384"
