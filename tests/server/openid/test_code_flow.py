"""The way of a browser to a provider and back; the log-ins at the console and at the portal try it as a whole."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from sipmesh.server.openid.code_flow import CodeFlow
from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.portal.portal_user import PortalClientEntry
from support.portal import PortalBrowser, portal
from support.running import on_loop


@on_loop
async def test_flow_without_a_client_leads_nowhere() -> None:
    check = None
    flow: CodeFlow[PortalClientEntry] = CodeFlow(lambda: None, str, tuple, check, lambda: 0.0)  # type: ignore[arg-type]
    assert not flow.is_on
    with pytest.raises(OpenIdError, match="no OpenID provider"):
        await flow.begin("browser")


@on_loop
async def test_browser_goes_with_state_nonce_and_challenge_and_each_time_with_others(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, _), PortalBrowser(network) as alice:
        first, second = [parse_qs(urlsplit(await alice.go()).query) for _ in range(2)]
        assert (first["code_challenge_method"], first["scope"]) == (["S256"], ["openid"])
        assert all(first[name] != second[name] for name in ("state", "nonce", "code_challenge"))
        assert first["redirect_uri"] == second["redirect_uri"]
