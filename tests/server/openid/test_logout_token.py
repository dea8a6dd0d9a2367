"""Logout tokens: what each one says, and one wrong value after the other."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sipmesh.server.openid.logout_token import EVENT, OLDEST_S, LogoutToken, check_logout_token
from sipmesh.server.openid.metadata import OpenIdError

ISSUER = "https://id.example.com"
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = jwt.PyJWK({**jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "one"})


def checked(now: float | None = None, kind: str | None = "logout+jwt", **changed: Any) -> LogoutToken:
    """Check a token; *changed* are other values of its claims, None for a claim that is left out."""
    at = int(time.time())
    claims = {"iss": ISSUER, "aud": "portal", "iat": at, "exp": at + 60, "jti": "1", "sub": "a", "events": {EVENT: {}}}
    given = {name: value for name, value in {**claims, **changed}.items() if value is not None}
    token = jwt.encode(given, KEY, "ES256", {"kid": "one", "typ": kind})
    return check_logout_token(token, [PUBLIC], ISSUER, {"portal", "phone"}, now if now is not None else at)


@pytest.mark.parametrize("kind", ["logout+jwt", "application/logout+jwt", "JWT", None])
def test_token_names_a_user_a_session_or_both(kind: str | None) -> None:
    found = checked(kind=kind, sid="s", aud=["phone"])
    assert (found.subject, found.session, found.id) == ("a", "s", "1")
    assert checked(sub=None, sid="s").subject == ""


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.test"},
        {"aud": "other"},
        {"aud": None},
        {"iat": None},
        {"exp": None},
        {"exp": 1},
        {"jti": None},
        {"jti": ""},
        {"jti": 5},
        {"events": None},
        {"events": {}},
        {"events": []},
        {"events": {EVENT: None}},
        {"nonce": "n"},
        {"sub": None},
        {"sub": ["a"]},
        {"sub": "a" * 300},
        {"sid": 5},
        {"kind": "at+jwt"},
        {"kind": "JWE"},
    ],
    ids=str,
)
def test_token_with_one_wrong_value_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(OpenIdError):
        checked(**changed)


def test_token_counts_for_some_minutes_alone() -> None:
    now = time.time()
    assert checked(now + OLDEST_S - 2)
    with pytest.raises(OpenIdError, match="older than"):
        checked(now + OLDEST_S + 2)
