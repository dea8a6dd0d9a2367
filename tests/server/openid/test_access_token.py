"""Which user the claim of a token names, and which names are refused."""

from __future__ import annotations

from typing import Any

import pytest

from sipmesh.server.openid.access_token import user_of
from sipmesh.server.openid.metadata import OpenIdError

ONE, TWO = ("example.test",), ("example.test", "example.org")


@pytest.mark.parametrize(
    ("claim", "claims", "domains", "user"),
    [
        ("sub", {"sub": "alice@example.test"}, TWO, "sip:alice@example.test"),
        ("sub", {"sub": "alice"}, ONE, "sip:alice@example.test"),
        ("sub", {"sub": "alice@EXAMPLE.test"}, ONE, "sip:alice@example.test"),
        ("email", {"email": "alice@example.org", "email_verified": True}, TWO, "sip:alice@example.org"),
    ],
)
def test_claim_names_a_user_of_ours(claim: str, claims: dict[str, Any], domains: tuple[str, ...], user: str) -> None:
    assert user_of(claims, claim, domains) == user


@pytest.mark.parametrize(
    ("claim", "claims", "domains", "why"),
    [
        ("sub", {"sub": "alice"}, TWO, "without a domain"),
        ("sub", {"sub": "alice@partner.test"}, ONE, "no SIP domain"),
        ("sub", {"sub": "bob@x@example.test"}, ONE, "no address"),
        ("sub", {"sub": "alice@example.test>;x=<sip:bob"}, ONE, "names"),
        ("sub", {"sub": "alice\n@example.test"}, ONE, "no usable claim"),
        ("sub", {"sub": ["alice@example.test"]}, ONE, "no usable claim"),
        ("sub", {"sub": ""}, ONE, "no usable claim"),
        ("sub", {}, ONE, "no usable claim"),
        ("email", {"email": "alice@example.test"}, ONE, "not verified"),
        ("email", {"email": "alice@example.test", "email_verified": "true"}, ONE, "not verified"),
    ],
)
def test_other_names_are_refused(claim: str, claims: dict[str, Any], domains: tuple[str, ...], why: str) -> None:
    with pytest.raises(OpenIdError, match=why):
        user_of(claims, claim, domains)
