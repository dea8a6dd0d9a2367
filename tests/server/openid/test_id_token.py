"""ID tokens: each claim and the signature are changed in turn, with the valid token as the control."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sipmesh.server.openid.id_token import check_id_token
from sipmesh.server.openid.metadata import OpenIdError

ISSUER, CLIENT, NONCE = "https://id.example.test", "console", "n-1"
KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def jwk(key: Any, kid: str = "one", **further: str) -> jwt.PyJWK:
    made = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return jwt.PyJWK({**made, "kid": kid, **further})


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {"iss": ISSUER, "sub": "ada", "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": NONCE, **changes}
    return {name: value for name, value in made.items() if value is not None}


def token(*, key: Any = KEY, algorithm: str = "ES256", kid: str | None = "one", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm, {"kid": kid} if kid is not None else None)


def check(text: str, *keys: jwt.PyJWK) -> Any:
    return check_id_token(text, keys or (jwk(KEY),), issuer=ISSUER, client_id=CLIENT, nonce=NONCE)


@pytest.mark.parametrize("changes", [{}, {"aud": [CLIENT]}, {"aud": [CLIENT, "b"], "azp": CLIENT}, {"azp": CLIENT}])
def test_token_of_the_provider_is_accepted(changes: dict[str, Any]) -> None:
    assert check(token(**changes))["sub"] == "ada"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.test"},
        {"iss": f"{ISSUER}/"},
        {"iss": None},
        {"aud": "other"},
        {"aud": []},
        {"aud": None},
        {"aud": [CLIENT, "other"]},
        {"azp": "other"},
        {"aud": [CLIENT, "other"], "azp": "other"},
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"exp": "soon"},
        {"iat": int(time.time()) + 3600},
        {"iat": None},
        {"nbf": int(time.time()) + 3600},
        {"nonce": "n-2"},
        {"nonce": None},
        {"nonce": ""},
        {"sub": None},
        {"sub": 7},
    ],
)
def test_token_with_another_claim_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(OpenIdError):
        check(token(**changes))


def test_token_without_a_signature_or_with_a_public_key_as_secret_is_refused() -> None:
    public = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    unsigned = jwt.encode(claims(), "", "none", {"kid": "one"})
    symmetric = _by_hmac(claims(), public)
    for text in (unsigned, symmetric, f"{unsigned.rpartition('.')[0]}.", "", "a.b.c", "x" * 10_000):
        with pytest.raises(OpenIdError):
            check(text)
    assert check(token())


def _by_hmac(claims: dict[str, Any], secret: bytes) -> str:
    """Sign with a key that is public: the library refuses to make such a token."""
    parts = (json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT", "kid": "one"}, claims))
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    signature = hmac.digest(secret, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_token_signed_with_another_key_is_refused() -> None:
    for text, keys in (
        (token(key=OTHER), (jwk(KEY),)),
        (token(kid="two"), (jwk(KEY),)),
        (token(kid=None), (jwk(KEY), jwk(OTHER, "two"))),
        (token(key=OTHER), (jwk(KEY), jwk(OTHER, "two"))),
        (token(), (jwk(KEY), jwk(KEY))),
    ):
        with pytest.raises(OpenIdError):
            check(text, *keys)
    assert check(token(kid=None))
    assert check(token(key=OTHER, kid="two"), jwk(KEY), jwk(OTHER, "two"))


def test_keys_that_do_not_count_are_refused() -> None:
    secret = jwt.PyJWK({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "one"})
    with pytest.raises(OpenIdError, match="a key that does not count"):
        check(jwt.encode(claims(), secret.key, "HS256", {"kid": "one"}), secret)
    with pytest.raises(OpenIdError, match="a key that does not count"):
        check(token(), _rsa(rsa.generate_private_key(65537, 1024)))  # noqa: S505 - the weak key is the point


def test_rsa_of_2048_bits_is_accepted() -> None:
    strong = rsa.generate_private_key(65537, 2048)
    assert check(token(key=strong, algorithm="RS256"), _rsa(strong))


def _rsa(key: RSAPrivateKey) -> jwt.PyJWK:
    return jwt.PyJWK({**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "one"})
