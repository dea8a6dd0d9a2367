"""The judge of tokens: which keys and algorithms it admits."""

from __future__ import annotations

import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.openid.token import ALGORITHMS, UnknownKeyError, judge_token

KEY = ec.generate_private_key(ec.SECP256R1())
ISSUER, AUDIENCE = "https://id.example.test", "sip"


def _keys(*named: str) -> list[jwt.PyJWK]:
    public = jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    return [jwt.PyJWK({**public, "kid": name}) for name in named]


def _token(**further: object) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 60, **further}
    return jwt.encode(claims, KEY, "ES256", {"kid": "one"})


def _judge(token: str, keys: list[jwt.PyJWK]) -> object:
    return judge_token(token, keys, what="token", issuer=ISSUER, audience=AUDIENCE, required=("exp",))["iss"]


def test_token_of_a_known_key_is_accepted() -> None:
    assert _judge(_token(), _keys("one", "two")) == ISSUER


@pytest.mark.parametrize("named", [(), ("two",), ("one", "one")])
def test_key_that_is_not_the_only_one_of_its_name_is_unknown(named: tuple[str, ...]) -> None:
    with pytest.raises(UnknownKeyError):
        _judge(_token(), _keys(*named))


def test_short_rsa_key_is_refused() -> None:
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - the key that is refused
    public = jwt.algorithms.RSAAlgorithm.to_jwk(short.public_key(), as_dict=True)
    with pytest.raises(OpenIdError, match="does not count"):
        _judge(_token(), [jwt.PyJWK({**public, "kid": "one", "alg": "RS256"})])


def test_no_algorithm_has_a_secret_that_an_attacker_could_know() -> None:
    assert not [one for one in ALGORITHMS if one == "none" or one.startswith("HS")]
