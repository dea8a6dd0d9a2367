"""The portal in Chromium, signed in to at a real OpenID provider (oidc-provider), which also tells of logouts."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from interop.chromium import BUNDLES, Chromium
from interop.console_page import ConsolePage
from interop.phone_page import PhonePage
from interop.test_access_tokens import Phone
from interop.test_console_pages import real_provider
from interop.test_web_phone_sign_in import log_in_at_provider, reach
from support.managed import MGMT, Managed
from support.management_with_invitations import management_with_invitations
from support.network import FE1
from support.openid_provider import PORTAL, OpenIdProvider
from support.running import until, within

pytestmark = [pytest.mark.soak, pytest.mark.peer("chromium"), pytest.mark.peer("certutil"), pytest.mark.peer("npm")]

FORMS = ("/portal/device/link", "/portal/device/password", "/portal/rules", "/portal/rules/clear", "/portal/presence")


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[tuple[Managed, OpenIdProvider, ConsolePage]]:
    """Management with a portal, its provider, and a tab of a browser."""
    assert (BUNDLES / "done").exists(), "the pages are not bundled: make browsers"
    async with management_with_invitations(tmp_path / "n") as network:
        place = OpenIdProvider(network.organisation.folder / "ca", tmp_path)
        oauth = place.oauth(portal={"client_id": PORTAL})
        await network.publish(lambda document: document.update(oauth=oauth))
        document: Any = network.organisation.document
        origin = f"https://{MGMT}:{document['invitations']['listen'].rpartition(':')[2]}"
        root = network.organisation.root
        back = "https://console.example.test/back"
        async with (
            real_provider(place, tmp_path, back, "https://phone.example.test/page", origin, str(root)),
            Chromium(tmp_path / "chromium", root, (MGMT,), loopback=False) as browser,
        ):
            yield network, place, ConsolePage(browser, await browser.target(), origin)


async def sign_in(page: ConsolePage, user: str) -> None:
    """Go from the portal to the provider, log in there, agree, and come back."""
    await page.show("/portal")
    await page.leave("document.querySelector('main a.main').click()")
    await log_in_at_provider(page, user)
    await reach(page, "location.pathname === '/portal'")


@within(240.0)
async def test_user_uses_the_portal_and_each_page_can_be_used_by_all(tmp_path: Path) -> None:
    """With axe, in light and dark, 1280 and 400 pixels wide. PICTURES is a folder for pictures of the pages."""
    async with opened(tmp_path) as (_, _, page):
        await sign_in(page, "alice")
        await page.show("/portal/device/password")
        made = await page.use("/portal/device/password", device="desk")
        assert "alice+desk" in made
        await page.show("/portal/device/link")
        await page.leave(
            "document.forms[1].elements.device.value = 'sofa', document.forms[1].querySelector('button').click()"
        )
        assert "scan the code" in await page.text()
        await page.show("/portal/rules")
        assert "given rules of calls" in await page.use("/portal/rules", busy="bob@example.test")
        text = await page.show("/portal")
        assert all(part in text for part in ("alice@example.test", "desk", "busy: bob@example.test")), text
        found: list[tuple[str, int, str | int]] = []
        for scheme, width in (("light", 1280), ("light", 400), ("dark", 400)):
            await page.look(scheme, width)
            for path in ("/portal", *FORMS, "/portal/device/end?device=desk", "/portal/login"):
                await page.show(path)
                found += [(path, width, fault) for fault in await page.faults()]
                found += [(path, width, over) for over in [await page.overflow()] if over > 0]
                if folder := os.environ.get("PICTURES", ""):
                    name = f"{path.replace('/', '-').partition('?')[0]}-{scheme}-{width}.png"
                    await PhonePage.picture(page, Path(folder) / name)  # type: ignore[arg-type]
        assert found == []
        await page.show("/portal/device/end?device=desk")
        assert "without the device desk" in await page.use("/portal/device/end")


@within(240.0)
async def test_logout_at_the_provider_ends_the_session_and_the_phone(tmp_path: Path) -> None:
    """oidc-provider tells of it by itself. The phone of another user stays."""
    async with opened(tmp_path) as (network, place, page):
        await network.start(FE1)
        await until(lambda: network.nodes[FE1].users.ready)
        async with (
            Phone(place.issuer, network.organisation.root) as alice,
            Phone(place.issuer, network.organisation.root) as bob,
        ):
            phone, other = await network.phone(FE1, "alice"), await network.phone(FE1, "bob")
            assert (await phone.register_by((await alice.sign_in("alice"))["access_token"])).status == 200
            kept = await bob.sign_in("bob")
            assert (await other.register_by(kept["access_token"])).status == 200
            await sign_in(page, "alice")
            assert "alice@example.test" in await page.show("/portal")
            await page.go(f"{place.issuer}/session/end")
            await page.leave("document.querySelector('button[name=logout]').click()")
            await phone.hung_up()
            assert "Sign in" in await page.show("/portal")
            later = await bob.tokens(grant_type="refresh_token", refresh_token=kept["refresh_token"])
            assert (await other.register_by(later["access_token"])).status == 200
