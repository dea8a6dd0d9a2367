"""The sessions of the portal over real TLS: whose they are, where they count, and when they end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sipmesh.demo.ports import HOST
from sipmesh.server.console.access.guard import COOKIE as CONSOLE_COOKIE
from sipmesh.server.portal.portal_guard import COOKIE
from support.console import Answer, Visitor
from support.managed import Managed
from support.management_with_invitations import devices
from support.portal import PortalBrowser, portal
from support.running import on_loop

ELSEWHERE = "127.0.0.2"
LINKS = re.compile(r"/portal/link/end\?id=([0-9A-Za-z_-]+)")


def last_actor(network: Managed) -> str:
    return str(network.master.management_db.audit.read()[-1].who)


def cookie_of(browser: PortalBrowser) -> str:
    return {one.key: one.value for one in browser.session.cookie_jar}[COOKIE]


def account_in(page: Answer) -> list[str]:
    """Give the lines of the page of an account, without how long ago something was."""
    return re.sub("<time.*?</time>", "", page.text.partition("<footer")[0]).splitlines()


def with_cookie(browser: PortalBrowser, name: str, secret: str) -> None:
    browser.session.headers["Cookie"] = f"{name}={secret}"


async def is_in(browser: PortalBrowser) -> bool:
    """Tell whether the portal shows the browser an account; without a session it leads to the sign-in."""
    page = await browser.get("/portal")
    assert (page.status, page.headers.get("Location")) in {(200, None), (303, "/portal/login")}, page.text
    return page.status == 200


@pytest.mark.parametrize("where", ["another address", "another browser"])
@on_loop
async def test_copied_session_counts_nowhere_and_ends(tmp_path: Path, where: str) -> None:
    source, agent = (ELSEWHERE, "one") if where == "another address" else (HOST, "two")
    async with (
        portal(tmp_path) as (network, provider),
        PortalBrowser(network) as alice,
        PortalBrowser(network, source=source) as thief,
    ):
        for browser, name in ((alice, "one"), (thief, agent)):
            browser.session.headers["User-Agent"] = name
        await alice.sign_in(provider)
        assert await is_in(alice)
        with_cookie(thief, COOKIE, cookie_of(alice))
        assert not await is_in(thief)
        assert not await is_in(alice)
        [told] = network.told["mgmt.example.test"].events("portal session ended")
        assert "another browser or address" in told["why"]


@on_loop
async def test_session_of_the_console_counts_nothing_here_and_the_other_way_round(tmp_path: Path) -> None:
    """Neither does the token of an operator, of any role."""
    async with (
        portal(tmp_path) as (network, provider),
        PortalBrowser(network) as alice,
        Visitor(network) as operator,
        PortalBrowser(network) as thief,
        Visitor(network) as user,
        PortalBrowser(network, "vera-token") as viewer,
    ):
        secret = await operator.log_in("security-officer")
        await alice.sign_in(provider)
        for name in (COOKIE, CONSOLE_COOKIE):
            with_cookie(thief, name, secret)
            assert not await is_in(thief)
            user.session.headers["Cookie"] = f"{name}={cookie_of(alice)}"
            assert (await user.get("/users")).status == 303
            assert (await user.get("/api/v1/users")).status == 401
        assert not await is_in(viewer)
        assert await is_in(alice)
        assert (await operator.get("/users")).status == 200


@pytest.mark.parametrize("end", ["disable", "remove"])
@on_loop
async def test_session_of_a_disabled_or_removed_user_ends_at_once(tmp_path: Path, end: str) -> None:
    """Also if an account of the same name is there again."""
    async with (
        portal(tmp_path) as (network, provider),
        PortalBrowser(network) as alice,
        PortalBrowser(network) as bob,
        Visitor(network, "otto-token") as operator,
    ):
        await alice.sign_in(provider)
        await bob.sign_in(provider, "bob")
        await alice.get("/portal/device/password")
        answer = await operator.ask("POST", f"/api/v1/user/{end}", json={"user": "alice"})
        assert answer.status == 200, answer.text
        if end == "remove":
            added = {"user": "alice", "password": "another-one", "pool": ""}
            assert (await operator.ask("POST", "/api/v1/user/add", json=added)).status == 200
        assert (await alice.post("/portal/device/password", device="desk")).headers["Location"] == "/portal/login"
        assert not await is_in(alice)
        assert await devices(network) == []
        assert await is_in(bob)
        assert (await alice.sign_in(provider)).status == (401 if end == "disable" else 200)


@on_loop
async def test_removal_of_the_provider_ends_sessions_and_the_pages(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice:
        await alice.sign_in(provider)
        assert await is_in(alice)
        await network.publish(lambda document: document["oauth"].pop("portal"))
        assert not await is_in(alice)
        assert (await alice.get("/portal/login")).status == 404
