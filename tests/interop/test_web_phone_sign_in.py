"""The web phone in Chromium, whose user signs in at a real OpenID provider (oidc-provider): no password of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interop.chromium import BUNDLES, LOOK_AGAIN_S, PATIENCE_S, BrowserPage, Chromium
from interop.phone_page import PhonePage
from interop.test_console_pages import real_provider
from sipmesh.server.web_phone.files import BUNDLE
from support.managed import MGMT, Managed, build_managed
from support.network import FE1
from support.openid_provider import OpenIdProvider
from support.running import until, within
from support.web_peer import open_websocket, web_address

if TYPE_CHECKING:
    from sipmesh.server.proxy.flow import Flow
    from support.peer import Peer

pytestmark = [pytest.mark.soak, pytest.mark.peer("chromium"), pytest.mark.peer("certutil"), pytest.mark.peer("npm")]

CLIENT = {"client_id": "web-phone", "scopes": ["offline_access", "sip"], "resource": "urn:example:sip"}
ALICE, BOB = "sip:alice@example.test", "bob@example.test"


async def reach(page: BrowserPage, condition: str) -> None:
    """Wait until *condition* is true, an expression of JavaScript, in a tab that goes from page to page meanwhile."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(RuntimeError, AssertionError):  # the page went away while it was asked
                if await page.evaluate(f"document.readyState === 'complete' && !!({condition})"):
                    return
            await asyncio.sleep(LOOK_AGAIN_S)


async def log_in_at_provider(page: BrowserPage, user: str) -> None:
    """Log in at the provider as *user*, and agree."""
    await reach(page, "document.forms[0]?.elements.login")
    await page.evaluate(
        f"document.forms[0].elements.login.value = {user!r}, document.forms[0].elements.password.value = 'x', "
        "document.forms[0].querySelector('button').click()"
    )
    await reach(page, "document.querySelector('input[value=consent]')")
    await page.evaluate("document.forms[0].querySelector('button').click(), undefined")


async def _sign_in(page: PhonePage, user: str) -> None:
    """Press the button, log in at the provider as *user*, agree, and come back."""
    await page.until("!document.getElementById('sign-in').hidden")
    await page.press("sign-in")
    await log_in_at_provider(page, user)
    await reach(page, "document.getElementById('phone')")


def _by_token(network: Managed) -> list[Flow]:
    return [flow for flow in network.nodes[FE1].flow_table.sessions() if flow.tokens]


async def _writes(page: PhonePage, bob: Peer, text: str) -> None:
    """Write from the page to bob, who sees that the server asserts alice, and no token."""
    await page.choose(BOB)
    await page.write(text)
    message = await bob.request_in("MESSAGE")
    await bob.reply(message, 200)
    assert message.body.decode() == text
    assert not message.has("authorization")
    assert ALICE in message.values("p-asserted-identity")[0]


@asynccontextmanager
async def web_phone(tmp_path: Path) -> AsyncIterator[tuple[Managed, Chromium, str]]:
    """A front end whose web phone signs in at a real provider, a browser, and the URL of the page."""
    organisation = build_managed(tmp_path / "o")
    open_websocket(organisation, phone=True)
    place = OpenIdProvider(organisation.folder / "ca", tmp_path)
    organisation.document["oauth"] = place.oauth(web_phone=CLIENT)
    organisation.write()
    url = f"https://{FE1}:{web_address(organisation, FE1)[1]}/phone"
    async with (
        real_provider(place, tmp_path, "https://console.example.test/back", url),
        Managed(organisation, tmp_path) as network,
        Chromium(tmp_path / "chromium", organisation.root, (FE1,), loopback=False) as browser,
    ):
        await network.start(MGMT, FE1)
        await until(lambda: network.nodes[FE1].users.ready)
        yield network, browser, url


@within(300.0)  # a browser, a provider, and servers that start
async def test_user_signs_in_renews_the_token_comes_back_on_a_new_link_and_signs_out(tmp_path: Path) -> None:
    assert (BUNDLE / "phone.js").exists(), "the web phone is not built: make browsers"
    assert (BUNDLES / "done").exists(), "the pages are not bundled: make browsers"
    async with web_phone(tmp_path) as (network, browser, url):
        page = await PhonePage.open(browser, url)
        await _sign_in(page, "alice")
        await page.shows("me", "alice@example.test")
        kept = "location.search + document.cookie + sessionStorage.length"
        assert await page.evaluate(kept) == "0"
        bob = await network.phone(FE1, "bob")
        assert (await bob.register()).status == 200
        await page.add_contact(BOB)
        await _writes(page, bob, "hello")

        [flow] = _by_token(network)
        first = flow.tokens[ALICE]
        await until(lambda: flow.tokens.get(ALICE) is not first)  # the page renews it before its end
        assert not flow.closed

        flow.link.close("a test")  # the next link needs another token
        await until(lambda: any(one is not flow for one in _by_token(network)))
        await page.shows("me-state", "connected")
        await _writes(page, bob, "again")

        await page.press("log-out")
        await until(lambda: not _by_token(network))
        await reach(
            page, "document.querySelector('button[name=logout]')"
        )  # the provider asks whether to sign out there


@within(300.0)
async def test_user_without_an_account_is_refused_and_an_answer_that_no_tab_has_asked_for_signs_no_user_in(
    tmp_path: Path,
) -> None:
    """An answer that this tab has not asked for: the code of an attacker, in a link (RFC 6749 section 10.12)."""
    async with web_phone(tmp_path) as (network, browser, url):
        page = await PhonePage.open(browser, f"{url}?code=stolen&state=made")
        await page.shows("login-error", "The sign-in has failed")
        await _sign_in(page, "mallory")
        await page.shows("login-error", "you have no account here, or it is disabled")
        assert not _by_token(network)
