"""Logging in by a code that works once, and logging out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from sipmesh.server.console.access.guard import FORM
from support.console import Visitor, management_with_console, operator_credentials
from support.managed import MGMT
from support.openid_provider import OpenIdProvider, log_in
from support.running import on_loop


@on_loop
async def test_code_logs_in_once_and_no_copy_of_it_does(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as first, Visitor(network) as thief:
        code = (await network.ask(MGMT, "console-login", role="viewer"))["code"]
        assert (await first.ask("POST", "/login", data={"code": code})).status == 303
        stolen = await thief.ask("POST", "/login", data={"code": code})
        assert (stolen.status, "This code is not valid" in stolen.text) == (401, True)
        assert (await thief.get("/")).status == 303


@on_loop
async def test_session_ends_when_its_operator_logs_out(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        assert (await viewer.post("/logout")).headers["Location"] == "/login"
        assert (await viewer.get("/")).headers["Location"] == "/login"


@on_loop
async def test_browser_logs_in_by_certificate_or_by_the_provider_and_is_refused_without(tmp_path: Path) -> None:
    async with management_with_console(tmp_path, client_certificates=True) as network:
        provider = OpenIdProvider(network.organisation.folder / "ca", tmp_path)
        await network.publish(lambda document: document["console"].update(openid=provider.entry()))
        credentials = operator_credentials(network, "otto", tmp_path)
        async with provider, Visitor(network, credentials=credentials) as otto, Visitor(network) as ada:
            assert (await otto.ask("POST", "/login/certificate")).status == 303
            assert (await ada.ask("POST", "/login/certificate")).status == 401
            assert (await ada.get("/login/openid/callback")).status == 401
            provider.person["groups"] = []
            assert (await log_in(ada, provider)).status == 401
            provider.person["groups"] = ["staff"]
            assert (await log_in(ada, provider)).status == 200
            provider.said = {}
            await network.publish(lambda document: document["console"].pop("openid"))
            assert (await ada.get("/login/openid")).status == 401


@on_loop
async def test_long_form_with_a_code_is_not_read(tmp_path: Path) -> None:
    """It is read however often its address has asked: 64 KiB of fields would keep the loop busy for milliseconds."""
    async with management_with_console(tmp_path) as network, Visitor(network) as visitor:
        code = (await network.ask(MGMT, "console-login", role="viewer"))["code"]

        async def pieces() -> AsyncIterator[bytes]:
            yield f"code={code}".encode()

        kind = {"Content-Type": FORM}
        for body, status in ((f"code={code}&{'&=' * 512}", 413), (pieces(), 413), (f"code={code}", 303)):
            assert (await visitor.ask("POST", "/login", data=body, headers=kind)).status == status


@on_loop
async def test_page_of_a_link_sends_its_code_by_itself_unless_another_site_has_led_there(tmp_path: Path) -> None:
    led_here = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    async with management_with_console(tmp_path) as network, Visitor(network) as person:
        typed, led = await person.get("/login"), await person.get("/login", headers=led_here)
        assert ("data-sends" in typed.text, "data-sends" in led.text, 'name="code"' in led.text) == (True, False, True)
