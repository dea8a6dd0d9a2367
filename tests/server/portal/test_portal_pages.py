"""The portal over real TLS: what a user does with the own account, and what each attacker does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sipmesh.server.portal.portal_guard import COOKIE
from support.console import Answer
from support.managed import Managed
from support.management_with_invitations import devices, invitee
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


@on_loop
async def test_user_makes_a_password_for_a_device_and_ends_the_device(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice:
        assert not await is_in(alice)
        assert "Sign in with your organisation" in (await alice.get("/portal/login")).text
        back = await alice.sign_in(provider)
        assert (back.status, "You are signed in" in back.text) == (200, True), back.text
        assert "alice@example.test" in (await alice.get("/portal")).text
        made = await alice.fill("/portal/device/password", device="desk")
        assert "alice+desk" in made.text
        assert last_actor(network) == "alice@example.test (portal)"
        shown = await alice.get("/portal")
        assert "/portal/device/end?device=desk" in shown.text
        password = re.findall("<code>([^<]+)</code>", made.text)[1]
        assert password not in shown.text
        ended = await alice.fill("/portal/device/end", "?device=desk", device="desk", sure="yes")
        assert "without the device desk" in ended.text
        assert await devices(network) == []


@on_loop
async def test_link_of_a_user_sets_up_one_device_within_an_hour(tmp_path: Path) -> None:
    """Nor does the user choose a longer time, or another user."""
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice, invitee(network) as phone:
        await alice.sign_in(provider)
        made = await alice.fill("/portal/device/link", device="sofa", user="bob", hours="700")
        link = re.findall('id="link">([^<]+)<', made.text)[0]
        assert "in 59 min" in (await alice.get("/portal")).text
        assert (await phone.take(link, "json")).status == 200
        assert (await devices(network), await devices(network, "bob")) == (["sofa"], [])
        await alice.fill("/portal/device/link", device="car")
        [number] = LINKS.findall((await alice.get("/portal")).text)
        assert "without the invitation" in (await alice.fill("/portal/link/end", f"?id={number}", id=number)).text


@on_loop
async def test_user_changes_rules_of_calls_and_of_presence(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice:
        await alice.sign_in(provider)
        changed = await alice.fill("/portal/rules", busy="bob@example.test", callers="@evil.test block")
        assert "given rules of calls" in changed.text
        refused = await alice.fill("/portal/rules", busy="nobody@example.test")
        assert (refused.status, "Nothing was changed" in refused.text) == (409, True)
        seen = await alice.fill("/portal/presence", watcher="bob", rule="block")
        assert "is seen by bob@example.test: block" in seen.text
        page = (await alice.get("/portal")).text
        assert "busy: bob@example.test" in page
        assert "bob@example.test: block" in page
        assert "left without rules" in (await alice.fill("/portal/rules/clear")).text
        assert "without a rule for bob" in (await alice.fill("/portal/presence", watcher="bob", rule="none")).text


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/portal/device/end", {"device": "desk", "user": "bob", "sure": "yes"}),
        ("/portal/link/end", {"id": "{id}"}),
        ("/portal/device/password", {"device": "mine", "user": "bob"}),
        ("/portal/rules", {"always": "alice@example.test", "user": "bob@example.test"}),
        ("/portal/presence", {"watcher": "*", "rule": "allow", "user": "bob"}),
    ],
)
@on_loop
async def test_form_that_names_another_user_changes_the_own_account_or_nothing(
    tmp_path: Path, path: str, fields: dict[str, str]
) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice, PortalBrowser(network) as bob:
        await bob.sign_in(provider, "bob")
        await bob.fill("/portal/device/password", device="desk")
        await bob.fill("/portal/device/link")
        before = account_in(await bob.get("/portal"))
        [number] = LINKS.findall("".join(before))
        await alice.sign_in(provider)
        await alice.get("/portal/device/password")
        await alice.post(path, **{name: value.format(id=number) for name, value in fields.items()})
        assert account_in(await bob.get("/portal")) == before
        assert await devices(network) == (["mine"] if path == "/portal/device/password" else [])
        ended = await bob.fill("/portal/link/end", f"?id={number}", id=number)  # the owner does
        assert "without the invitation" in ended.text


@on_loop
async def test_post_of_another_site_or_without_the_token_of_the_session_changes_nothing(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice, PortalBrowser(network) as eve:
        await eve.sign_in(provider, "bob")
        await eve.get("/portal")
        await alice.sign_in(provider)
        await alice.get("/portal/device/password")
        form = {"device": "desk"}
        for token, headers in (
            ("", {}),
            (eve.form_token, {}),
            (alice.form_token, {"Sec-Fetch-Site": "cross-site"}),
            (alice.form_token, {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}),
        ):
            answer = await alice.ask(
                "POST", "/portal/device/password", data={"form_token": token, **form}, headers=headers
            )
            assert answer.status == 403, answer.text
        assert await devices(network) == []
        ours = {"Sec-Fetch-Site": "same-origin"}
        answer = await alice.ask(
            "POST", "/portal/device/password", data={"form_token": alice.form_token, **form}, headers=ours
        )
        assert (answer.status, await devices(network)) == (200, ["desk"])


@pytest.mark.parametrize(
    ("user", "person"), [("nobody", {}), ("alice@other.test", {}), ("", {}), ("alice", {"iss": "https://evil.test"})]
)
@on_loop
async def test_sign_in_of_who_has_no_account_is_refused(tmp_path: Path, user: str, person: dict[str, str]) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as browser:
        answer = await browser.sign_in(provider, user, **person)
        assert (answer.status, "The sign-in was refused" in answer.text) == (401, True)
        assert not await is_in(browser)
        assert (await browser.sign_in(provider)).status == 200


@on_loop
async def test_answer_of_the_provider_counts_for_the_browser_that_has_asked(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice, PortalBrowser(network) as eve:
        provider.person = {"sub": "bob"}
        url = await eve.go()
        assert (await alice.come(provider, url)).status == 401
        assert not await is_in(alice)
        assert (await eve.come(provider, url)).status == 200


@on_loop
async def test_signing_out_ends_the_session(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice:
        await alice.sign_in(provider)
        await alice.get("/portal")
        secret, token = cookie_of(alice), alice.form_token
        assert (await alice.ask("POST", "/portal/logout", data={"form_token": "x"})).status == 403
        assert await is_in(alice)
        assert (await alice.ask("POST", "/portal/logout", data={"form_token": token})).status == 303
        with_cookie(alice, COOKIE, secret)
        assert not await is_in(alice)


@on_loop
async def test_pages_have_the_headers_that_protect_them_and_another_host_is_refused(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice:
        await alice.sign_in(provider)
        page = await alice.get("/portal")
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["Cache-Control"] == "no-store"
        wrong = await alice.ask("GET", "/portal", headers={"Host": "evil.test"})
        assert wrong.status == 421
