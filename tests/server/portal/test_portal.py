"""The paths of the portal, on the port of the pages of invitations."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.portal import PortalBrowser, portal
from support.running import on_loop


@pytest.mark.parametrize("path", ["/portal", "/portal/rules", "/portal/device/password", "/portal/presence"])
@on_loop
async def test_browser_without_a_session_is_led_to_the_sign_in(tmp_path: Path, path: str) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice:
        for answer in (await alice.get(path), await alice.post(path) if path != "/portal" else await alice.get(path)):
            assert (answer.status, answer.headers["Location"]) == (303, "/portal/login")
        await alice.sign_in(provider)
        assert (await alice.get(path)).status == 200


@on_loop
async def test_port_has_no_page_of_the_console(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice:
        await alice.sign_in(provider)
        for path in ("/users", "/audit", "/api/v1/users", "/portal/users", "/login"):
            assert (await alice.get(path)).status == 404
        assert (await alice.get("/portal/static/console.css")).status == 200
