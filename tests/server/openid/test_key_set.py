"""The keys of a provider: public keys of a bounded size, and no others."""

from __future__ import annotations

import base64
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sipmesh.server.openid.key_set import LONGEST_EXPONENT, LONGEST_RSA, MOST_KEYS, read_keys
from sipmesh.server.openid.metadata import OpenIdError


def number(bits: int) -> str:
    """The base64url of an odd number with so many bits."""
    return base64.urlsafe_b64encode(((1 << bits) - 1).to_bytes(bits // 8)).rstrip(b"=").decode()


def rsa(**changes: Any) -> dict[str, Any]:
    return {"kty": "RSA", "n": number(2048), "e": "AQAB", "kid": "rsa", **changes}


EC = jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
OKP = jwt.algorithms.OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True)


def test_public_keys_are_read_and_keys_of_other_types_are_ignored() -> None:
    others: list[Any] = [{"kty": "oct", "k": "AAAA"}, {"kty": "AKP"}, {"kty": ["RSA"]}, {}, 7, None]
    keys = read_keys({"keys": [rsa(n=number(LONGEST_RSA)), EC, OKP, *others]})
    assert [key.key_type for key in keys] == ["RSA", "EC", "OKP"]


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ([EC, rsa(d=number(2048))], "private key"),
        ([EC, rsa(d=None)], "private key"),
        ([{**EC, "d": "AQAB"}], "private key"),
        ([rsa(n=number(LONGEST_RSA + 64))], "n has more than"),
        ([rsa(e=number(LONGEST_EXPONENT + 64))], "e has more than"),
        ([rsa(n=7)], "n has more than"),
        ([EC] * (MOST_KEYS + 1), "no list of at most"),
        ({"kty": "RSA"}, "no list of at most"),
        (None, "no list of at most"),
        ([], "cannot be read"),
        ([{"kty": "oct"}], "cannot be read"),
        ([rsa(n="AA")], "cannot be read"),
        ([rsa(alg={"a": 1})], "cannot be read"),
        ([{**EC, "x": 7}], "cannot be read"),
    ],
)
def test_other_sets_are_refused(keys: Any, why: str) -> None:
    with pytest.raises(OpenIdError, match=why):
        read_keys({"keys": keys})


def test_most_keys_are_read() -> None:
    assert len(read_keys({"keys": [EC] * MOST_KEYS})) == MOST_KEYS
