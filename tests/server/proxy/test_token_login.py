"""A login by a token belongs to the provider by whose rules it was judged."""

from __future__ import annotations

from sipmesh.server.proxy.token_login import TokenLogin
from sipmesh.topology.document.parts.oauth import OAuth

GIVEN = {"issuer": "https://id.example.test", "audience": "sip"}


def test_login_of_another_audience_is_another_login() -> None:
    first, same = (TokenLogin(OAuth.model_validate(GIVEN), 10.0, 1.0, "") for _ in range(2))
    other = TokenLogin(OAuth.model_validate({**GIVEN, "audience": "mail"}), 10.0, 1.0, "")
    assert (first == same, first == other) == (True, False)
