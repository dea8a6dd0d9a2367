"""The console in Chromium: each page in light and dark and on a narrow screen, each action, and who may not do it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from interop.chromium import BUNDLES, Chromium
from interop.console_page import ConsolePage
from scenarios.test_faults import bed
from sipmesh.demo.organisation import Organisation
from sipmesh.server.console.access.openid.flow import CALLBACK
from sipmesh.server.console.pages.forms import FORMS
from sipmesh.trust.evidence import LinkKind
from support.console import management_with_console
from support.managed import MGMT, Managed, second_pool
from support.network import EDGE, FE1, PARTNER_EDGES, PARTNER_FE, POOL2, copied_with_ports, ringing
from support.openid_provider import OpenIdProvider
from support.programs import ended
from support.running import on_loop, until
from support.user_changes import add_rows_of_users

pytestmark = [pytest.mark.soak, pytest.mark.peer("chromium"), pytest.mark.peer("certutil"), pytest.mark.peer("npm")]

ALICE = "/users/alice%40example.test"
PAGES = (
    *(
        "/",
        "/map",
        f"/links/{MGMT}/to/{POOL2}",
        "/status",
        f"/servers/{MGMT}",
        "/versions",
        "/versions/1",
        "/certificates",
        "/certificates/enrolment",
        "/certificates/issued?q=mgmt",
        "/users",
        ALICE,
        "/registrations",
        "/directory",
    ),
    *(
        "/partners",
        "/verdicts",
        "/trace",
        "/trace?what=alice",
        "/refused",
        "/audit",
        "/audit/check",
        "/users/nobody%40example.test",
        "/user/disable?user=alice",
        "/revoke",
        "/search?q=alice",
        "/add/pool",
        "/add/partner",
        "/calls",
        "/nothing",
        "/login",
    ),
)
POSTS = "[...document.forms].filter(form => form.method === 'post').map(form => form.getAttribute('action'))"
ACTIONS: tuple[tuple[str, str, dict[str, str], str], ...] = (
    ("/users", "/user/add", {"user": "carol", "password": "secret-one"}, "carol@example.test is added"),
    (ALICE, "/user/alias/add", {"alias": "+4930123"}, "is given the alias"),
    (ALICE, "/user/alias/remove", {}, "is without the alias"),
    (ALICE, "/user/password", {"password": "other-one"}, "is given a new password"),
    (ALICE, "/user/move", {"pool": POOL2}, f"to {POOL2}"),
    (ALICE, "/user/device/password", {"device": "desk"}, "desk of alice@example.test may log in"),
    (ALICE, "/user/presence", {"watcher": "bob", "rule": "block"}, "is seen by bob@example.test: block"),
    (ALICE, "/user/disable", {}, "is disabled"),
    (ALICE, "/user/enable", {}, "is enabled"),
    (ALICE, "/user/remove", {}, "is removed"),
    ("/certificates", "/sign-crls", {}, "New CRLs are signed"),
    ("/versions", "/publish", {"why": "a name"}, "Version 2 is published"),
    ("/versions", "/rollback", {"why": "no name"}, "Version 3 is published"),
    ("/certificates", "/revoke", {}, "is revoked"),
)

TOLD = (
    f"{FE1} knows its sender by: login of alice@example.test; the link is accepted",
    f"{EDGE} knows its sender by: certificate of {PARTNER_EDGES}; the link is accepted",
    f"{EDGE} knows its receiver by: certificate of {PARTNER_EDGES}; the link is accepted",
    f"{FE1}: +Via, Max-Forwards 70 -> 69, +Record-Route, +P-Asserted-Identity",
    f"{EDGE}: +Record-Route, +Via, Max-Forwards 69 -> 68, -P-Asserted-Identity",
)
WHOLE_CALL = """new Promise(done => { const look = () => {
  const told = [...document.querySelectorAll("#live summary")].map(one => one.textContent);
  const byes = told.filter(one => one === "BYE").length, fine = told.filter(one => one === "200 OK").length;
  const changed = document.querySelectorAll("#live p:has(.change)").length;
  byes === 3 && fine === 6 && changed === 6 ? done() : setTimeout(look, 20); }; look() })"""
"""Until BYE and both 200 have passed each of the three links, and two servers have told what they changed in three requests."""

ASTRAY = """[...document.querySelectorAll("#live tbody tr")].filter(row => {
  const arrow = row.querySelector(".arrow").getBoundingClientRect();
  if (!arrow.width) return document.documentElement.clientWidth > 640;
  const middle = cell => {
    const head = [...document.querySelectorAll("th.ladder span")].find(one => one.dataset.end === cell.dataset.end);
    const box = head.getBoundingClientRect();
    return (box.left + box.right) / 2; };
  const [from, to] = [...row.querySelectorAll("td[data-end]")].map(middle);
  return Math.abs(Math.min(from, to) - arrow.left) > 2 || Math.abs(Math.max(from, to) - arrow.right) > 2
    || row.querySelector(".arrow").classList.contains("back") !== from > to;
}).map(row => row.textContent)"""
"""The rows whose arrow does not go from the column of its sender to that of its receiver."""


@asynccontextmanager
async def opened(folder: Path, **further: Any) -> AsyncIterator[tuple[Managed, Chromium]]:
    """A console, and a browser that trusts the enterprise CA."""
    async with (
        management_with_console(folder, second_pool(), **further) as network,
        Chromium(folder / "chromium", network.organisation.root, (MGMT,)) as browser,
    ):
        yield network, browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 320])
@on_loop
async def test_each_page_is_usable_by_all_in_light_and_dark_and_320_pixels_wide(
    tmp_path: Path, width: int, scheme: str
) -> None:
    async with opened(tmp_path) as (network, browser):
        page = await ConsolePage.open(browser, network)
        await page.log_in(network, "security-officer")
        network.edit(lambda document: document.update(presence={"inside": "block"}))
        await page.look(scheme, width)
        found: list[tuple[str, str | int]] = []
        for path in PAGES:
            await page.show(path)
            found += [(path, fault) for fault in await page.faults()]
            found += [(path, over) for over in [await page.overflow()] if over > 0]
        assert found == []
        assert [line for line in browser.console if "Content Security Policy" in line] == []


@on_loop
async def test_security_officer_does_each_action_by_its_form_and_a_viewer_has_none(tmp_path: Path) -> None:
    async with opened(tmp_path) as (network, browser):
        officer, viewer = await ConsolePage.open(browser, network), await ConsolePage.open(browser, network)
        await officer.log_in(network, "security-officer")
        await viewer.log_in(network, "viewer")
        network.edit(lambda document: document.update(presence={"inside": "block"}))
        for path, action, fields, told in ACTIONS:
            await viewer.show(path)
            assert await viewer.evaluate(POSTS) == ["/logout"]
            await _sends(viewer, action)
            await officer.show(path)
            link = " ?? ".join(
                f"document.querySelector('main a[href{match}\"]')" for match in (f'^="{action}?', f'="{action}')
            )
            await officer.leave(f"({link}).click()")
            assert told in await officer.use(action, **fields), action
        assert {form.path for form in FORMS} - {action for _, action, _, _ in ACTIONS} == {
            "/apply",
            "/block",
            "/issue",
            "/unblock",
            "/add/partner",
            "/add/pool",
            "/add/server",
            "/calls/end",
            "/calls/erase",
            *("/enrol", "/enrol/withdraw"),
            *("/group/add", "/group/change", "/group/remove"),
            *("/user/invite", "/user/invite-all", "/user/invitation/revoke", "/user/device/revoke"),
            *("/user/rules/change", "/user/rules/clear"),
        }
        assert [line for line in browser.console if "Content Security Policy" in line] == []


@on_loop
async def test_new_verdict_appears_in_the_page_without_a_reload(tmp_path: Path) -> None:
    async with opened(tmp_path) as (network, browser):
        viewer = await ConsolePage.open(browser, network)
        await viewer.log_in(network, "viewer")
        await viewer.show("/verdicts")
        assert await viewer.evaluate("document.querySelectorAll('tbody tr.none').length") == 1
        await viewer.evaluate("window.same = true, undefined")
        reader, writer = await asyncio.open_connection(*network.organisation.address(MGMT, LinkKind.SERVER))
        writer.write(b"OPTIONS sip:example.test SIP/2.0\r\n\r\n")
        await reader.read()
        writer.close()
        shown = """new Promise(done => { const look = () => document.querySelector("tbody .state.bad")
          ? done(document.querySelector("tbody").rows.length) : setTimeout(look, 20); look() })"""
        assert await viewer.evaluate(shown) == 1
        assert await viewer.evaluate("window.same") is True
        assert [line for line in browser.console if "Content Security Policy" in line] == []


@pytest.mark.parametrize("width", [1280, 400])
@on_loop
async def test_opened_message_of_a_trace_leaves_room_for_the_proof_of_its_sender(tmp_path: Path, width: int) -> None:
    async with opened(tmp_path) as (network, browser):
        await network.start(FE1)
        await network.acknowledged(1, FE1)
        alice = await network.agent("alice", FE1)
        operator = await ConsolePage.open(browser, network)
        await operator.log_in(network, "operator")
        await operator.look("light", width)
        await operator.show("/trace?what=alice")
        await until(lambda: bool(network.nodes[FE1].tracer._traces))
        assert (await alice.message("sip:alice@example.test", "hello")).status in {200, 202}
        shown = """new Promise(done => { const look = () => document.querySelector("tbody details")
          ? done(document.body.innerText) : setTimeout(look, 20); look() })"""
        assert "MESSAGE" in await operator.evaluate(shown)
        await operator.evaluate("document.querySelectorAll('tbody details').forEach(one => one.open = true), undefined")
        hidden = "(box => box.scrollWidth - box.clientWidth)(document.querySelector('#live .wide'))"
        assert await operator.evaluate(hidden) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@on_loop
async def test_call_to_a_partner_is_a_ladder_in_the_page_with_the_proof_of_the_partner(
    managed: Managed, partner_model: Organisation, tmp_path: Path, width: int, scheme: str
) -> None:
    async with (
        bed(managed, copied_with_ports(partner_model, tmp_path / "p")) as here,
        Chromium(tmp_path / "chromium", managed.organisation.root, (MGMT,)) as browser,
    ):
        alice = await managed.agent("alice", FE1)
        here.partner.start(PARTNER_FE)
        erin = await here.partner.agent("erin", PARTNER_FE)
        operator = await ConsolePage.open(browser, managed)
        await operator.log_in(managed, "operator")
        await operator.look(scheme, width)
        await operator.show("/trace?what=alice")
        await until(lambda: all(managed.nodes[server].tracer._traces for server in (FE1, EDGE)))
        made = await alice.call("erin@partner.test")
        came = await ringing(erin)
        await made.answered()
        await made.hang_up()
        await came.over()
        await operator.evaluate(WHOLE_CALL)
        text = " ".join((await operator.text()).split())
        for told in TOLD:
            assert told in text, text
        shown = "document.querySelector('td.ladder').checkVisibility()"
        assert await operator.evaluate(shown) is (width == 1280)
        ends = await operator.evaluate("[...document.querySelectorAll('th.ladder span')].map(end => end.textContent)")
        assert sorted(ends)[1:] == [EDGE, FE1, PARTNER_EDGES]
        assert await operator.evaluate(ASTRAY) == []
        assert await operator.faults() == []
        assert await operator.overflow() <= 0


@pytest.mark.parametrize("width", [1280, 400])
@on_loop
async def test_remedy_of_a_server_has_the_width_of_the_page(tmp_path: Path, width: int) -> None:
    """The servers that do not run have a fault below their row: its text is as wide as the table."""
    async with opened(tmp_path) as (network, browser):
        viewer = await ConsolePage.open(browser, network)
        await viewer.log_in(network, "viewer")
        await viewer.look("light", width)
        text = await viewer.show("/status")
        assert f"start it: sipmesh serve {FE1}" in text, text
        shown = """(table => [...document.querySelectorAll(".remedy")].map(one => one.clientWidth / table.clientWidth))
          (document.querySelector(".wide"))"""
        assert min(await viewer.evaluate(shown)) > 0.85
        assert await viewer.faults() == []
        assert await viewer.overflow() <= 0


async def _sends(viewer: ConsolePage, action: str) -> None:
    """Send a form that the page does not have, with the token of the own session: the role is checked, not the button."""
    status = await viewer.evaluate(
        f"""fetch("{action}", {{method: "POST", body: new URLSearchParams({{
          form_token: document.querySelector("[name=form_token]").value, sure: "yes", user: "alice", password: "x",
          pool: "{POOL2}", alias: "42", why: "x", base: "1", digest: "x", version: "1", serial: "1"}})}})
        .then(answer => answer.status)"""
    )
    assert status == 403, action


@on_loop
async def test_page_of_another_site_neither_acts_nor_reads_in_the_name_of_an_operator(tmp_path: Path) -> None:
    async with opened(tmp_path) as (network, browser):
        officer = await ConsolePage.open(browser, network)
        await officer.log_in(network, "security-officer")
        address = str(await officer.evaluate("location.origin"))
        await officer.show("/users")
        token = await officer.evaluate("document.querySelector('[name=form_token]').value")
        await browser.serve()
        await officer.go(f"{browser.origin}/page.html")  # the same tab, and so the cookies of the operator
        field = (
            f'<input name="form_token" value="{token}"><input name="user" value="alice"><input name="sure" value="yes">'
        )
        await officer.evaluate(
            f"document.body.innerHTML = '<form method=post action=\"{address}/user/remove\">{field}</form>', undefined"
        )
        await officer.leave("document.forms[0].submit()")
        assert await officer.evaluate("document.body.innerText.trim()") == "another site has caused this request"
        await officer.go(f"{browser.origin}/page.html")
        read = await officer.evaluate(
            f"fetch('{address}/api/v1/users', {{credentials: 'include'}}).then(a => a.text(), () => 'refused')"
        )
        assert read == "refused"
        assert "alice@example.test" in await officer.show("/users")


@on_loop
async def test_code_leaves_the_address_bar_and_a_second_use_of_the_link_fails(tmp_path: Path) -> None:
    async with opened(tmp_path) as (network, browser):
        page, thief = await ConsolePage.open(browser, network), await ConsolePage.open(browser, network)
        reply = await network.ask(MGMT, "console-login", role="viewer")
        for tab, path in ((page, "/"), (thief, "/login")):
            await tab.open_link(f"{tab.base}/login#{reply['code']}")
            assert await tab.evaluate("location.pathname + location.hash") == path


@on_loop
async def test_operators_log_in_at_a_real_identity_provider_with_the_role_of_their_group(tmp_path: Path) -> None:
    async with opened(tmp_path) as (network, browser):
        provider = OpenIdProvider(network.organisation.folder / "ca", tmp_path)
        await network.publish(lambda document: document["console"].update(openid=provider.entry()))
        page = await ConsolePage.open(browser, network)
        await page.show("/login")
        redirect = str(await page.evaluate("location.origin")) + CALLBACK
        async with real_provider(provider, tmp_path, redirect):
            for name, told in (("ada", "ada (OpenID), operator"), ("vera", "vera (OpenID), viewer")):
                tab = await ConsolePage.open(browser, network)
                await _agree(tab, name)
                assert told in await tab.show("/status")
            nobody = await ConsolePage.open(browser, network)
            await _agree(nobody, "eve")
            assert "was refused" in await nobody.text()
            assert "With a code" in await nobody.show("/")


async def _agree(tab: ConsolePage, name: str) -> None:
    """Go to the provider, log in there as *name*, agree, and come back."""
    await tab.show("/login")
    await tab.leave("document.querySelector('a[href=\"/login/openid\"]').click()")
    await tab.leave(
        f"document.forms[0].elements.login.value = {name!r}, document.forms[0].elements.password.value = 'x', "
        "document.forms[0].querySelector('button').click()"
    )
    await tab.leave("document.forms[0].querySelector('button').click()")


@asynccontextmanager
async def real_provider(place: OpenIdProvider, folder: Path, *redirects: str) -> AsyncIterator[None]:
    """Run oidc-provider at the port, and with the certificate, of *place*; *redirects* are those of its clients."""
    files = (str(folder / f"{place.port}.{kind}") for kind in ("pem", "key"))
    process = await asyncio.create_subprocess_exec(
        *("node", "openid_provider.js", str(place.port), *files, *redirects),
        cwd=BUNDLES, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        while b"listening" not in (line := await process.stdout.readline()):
            assert line, "the provider has ended"
        yield
    finally:
        process.terminate()
        await ended(process)


@on_loop
async def test_pages_of_many_users_can_be_used_at_once_and_do_not_move(tmp_path: Path) -> None:
    """The promise is a second with 50,000 users; ten times of it is allowed here."""
    async with opened(tmp_path) as (network, browser):
        add_rows_of_users(network.organisation, 50_000)
        page = await ConsolePage.open(browser, network)
        await page.log_in(network, "operator")
        for path in (
            "/",
            "/map",
            "/users",
            "/users?q=user4999&sort=-Created",
            "/users?page=250",
            "/search?q=user01234",
        ):
            await page.show(path)
            assert await page.interactive_s() < 10, path
            assert await page.shift() == 0, path
        assert "user01234@example.test" in await page.text()
