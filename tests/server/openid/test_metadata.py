"""The metadata of a provider: its own name to the letter, and https for each URL."""

from __future__ import annotations

from typing import Any

import pytest

from sipmesh.server.openid.metadata import LONGEST_URL, OpenIdError, ProviderMetadata

ISSUER = "https://id.example.test"
GOOD = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth?tenant=1",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/jwks",
}


def test_metadata_are_read() -> None:
    assert ProviderMetadata.read(GOOD, ISSUER).names_itself is False
    named = {**GOOD, "authorization_response_iss_parameter_supported": True}
    assert ProviderMetadata.read(named, ISSUER).names_itself is True


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "",
        "/token",
        "http://id.example.test/token",
        "https:///token",
        "https://a@id.example.test/",
        "https://id.example.test/#x",
        "https://id.example.test/\r\nX: y",
        f"https://id.example.test/{'a' * LONGEST_URL}",
    ],
)
def test_url_that_is_not_https_is_refused(name: str, url: Any) -> None:
    with pytest.raises(OpenIdError, match=name):
        ProviderMetadata.read({**GOOD, name: url}, ISSUER)


@pytest.mark.parametrize("issuer", [f"{ISSUER}/", "https://evil.test", None, "HTTPS://id.example.test"])
def test_provider_that_says_another_name_is_refused(issuer: Any) -> None:
    with pytest.raises(OpenIdError, match="says that it is"):
        ProviderMetadata.read({**GOOD, "issuer": issuer}, ISSUER)
