"""Logins by access tokens: an issuer and an audience are enough."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.operators.openid import OpenIdAuthority
from sipmesh.topology.document.parts.oauth import OAuth

GOOD = {"issuer": "https://id.example.test", "audience": "sip"}


def test_issuer_and_audience_are_enough() -> None:
    oauth = OAuth.model_validate(GOOD)
    assert (oauth.claim, oauth.authority, oauth.introspection) == ("sub", OpenIdAuthority.PUBLIC, None)


@pytest.mark.parametrize(
    "given",
    [
        {"issuer": "http://id.example.test"},
        {"audience": ""},
        {"claim": "a claim"},
        {"introspection": {"client_id": "a"}},
        {"introspection": {"client_id": "a", "secret": "b"}},
        {"web_phone": {"client_id": "phone", "resource": "sip"}},
        {"web_phone": {"client_id": "phone", "resource": "javascript:x y"}},
        {"algorithms": ["none"]},
    ],
)
def test_wrong_key_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OAuth.model_validate({**GOOD, **given})
