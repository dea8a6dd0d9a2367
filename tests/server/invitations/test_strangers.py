"""What strangers may use of the pages of invitations: requests, guesses and connections; and which pages read the answers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from attacks.test_told_places import CONTACT, without
from server.invitations.test_file_pages import FIELDS, upload
from sipmesh.server.invitations import strangers
from sipmesh.topology.document.parts.files import FILES
from sipmesh.topology.document.parts.invitations import CONTACTS, RULES
from support.account_tickets import LIST, TicketPage
from support.invited import Answer
from support.managed import MGMT
from support.management_with_invitations import invite, invitee, management_with_invitations
from support.network import FE1
from support.running import on_loop
from support.telling import Told
from support.tiers import wide_after
from support.web_peer import open_websocket, web_address

FILE = {name.replace("_", "-"): value for name, value in FIELDS.items()}
EVIL = ("https://evil.test", "null", "https://fe1.example.test.evil.test:8443")


@on_loop
async def test_guesses_are_refused_after_some_and_the_right_link_still_counts(tmp_path: Path) -> None:
    """Also from the address of the guesser: behind it can be a whole site."""
    async with management_with_invitations(tmp_path) as network, invitee(network) as guesser:
        link = await invite(network)
        base = link.rpartition("/")[0]
        seen = [(await guesser.get(f"{base}/{secrets.token_urlsafe(24)}")).status for _ in range(25)]
        assert seen == [404] * strangers.FAILURES_A_MINUTE + [429] * (25 - strangers.FAILURES_A_MINUTE)
        assert (await guesser.take(link, "json")).status == 200


@pytest.mark.parametrize("secret", wide_after(2, ["short", "A" * 33, "A" * 31 + "!", "%00" * 32, "A" * 5000]))
@on_loop
async def test_malformed_secret_is_not_looked_up(tmp_path: Path, secret: str) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as stranger:
        base = (await invite(network)).rpartition("/")[0]
        assert (await stranger.get(f"{base}/{secret}")).status in (400, 404)


@on_loop
async def test_requests_of_one_address_have_a_limit_that_another_address_does_not_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "REQUESTS_A_MINUTE", 3)
    async with (
        management_with_invitations(tmp_path) as network,
        invitee(network) as many,
        invitee(network, "127.0.0.2") as other,
    ):
        link = await invite(network)
        assert [(await many.get(link)).status for _ in range(4)] == [200, 200, 200, 429]
        assert (await other.take(link, "json")).status == 200


@on_loop
async def test_all_strangers_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "REQUESTS_OF_ALL", 2)
    async with (
        management_with_invitations(tmp_path) as network,
        invitee(network) as one,
        invitee(network, "127.0.0.2") as two,
    ):
        link = await invite(network)
        assert [(await one.get(link)).status, (await two.get(link)).status, (await two.get(link)).status] == [
            200,
            200,
            429,
        ]


@on_loop
async def test_another_host_name_is_refused(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as stranger:
        link = await invite(network)
        assert (await stranger.get(link, headers={"Host": "evil.test"})).status == 421
        assert (await stranger.get(link)).status == 200


@on_loop
async def test_body_above_the_limit_is_refused_and_uses_nothing_up(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as stranger:
        link = await invite(network)
        assert (await stranger.ask("POST", link, data={"client": "json", "x": "y" * 10_000})).status == 413
        assert (await stranger.take(link, "json")).status == 200


def may_read(answer: Answer, origin: str) -> bool:
    """Tell whether a browser gives the answer to a page of *origin*. No answer is for all origins."""
    shared = answer.headers.get("Access-Control-Allow-Origin")
    assert shared in (None, origin)
    assert shared is None or answer.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    return shared == origin


@asynccontextmanager
async def phone_page(folder: Path) -> AsyncIterator[tuple[TicketPage, str]]:
    """A web phone at management, and its origin."""
    async with TicketPage.opened(folder, files={"largest_mb": 1, "user_mb": 1}) as page:
        open_websocket(page.network.organisation, phone=True)
        await page.network.publish()
        yield page, f"https://{FE1}:{web_address(page.network.organisation, FE1)[1]}"


@on_loop
async def test_web_phone_reads_each_answer_and_no_page_of_another_site_does(tmp_path: Path) -> None:
    """A refusal, a database that cannot be used, and no room: otherwise the page tells its user that no server answers."""
    async with phone_page(tmp_path) as (page, ours):
        ticket = page.ticket()

        async def seen(method: str, path: str, status: int, given: str = ticket, **sent: object) -> None:
            for origin in (ours, *EVIL):
                answer = await page.ask(given, method, path, headers={"Origin": origin, **FILE}, **sent)
                assert answer.status in ({status} if origin == ours else {status, 403}), (origin, answer.text)
                assert may_read(answer, origin) is (origin == ours), (path, status, origin)

        await seen("GET", LIST, 200)
        await seen("GET", LIST, 401, "stolen")
        await seen("GET", f"{CONTACTS}/nowhere", 404)
        await seen("DELETE", f"{LIST}/a", 404)
        await seen("POST", f"/p/{'A' * 32}/account", 404)
        await seen("POST", FILES, 507, data=upload(b"x" * 1_000_000))
        with without(tmp_path / "o" / "users.db", "users_contacts"):
            await seen("GET", LIST, 503)
            await seen("PUT", f"{LIST}/a", 503, json=CONTACT)
        with without(tmp_path / "o" / "state" / "files.db", "sent_files"):
            await seen("POST", FILES, 503, data=upload(b"x"))
        with without(tmp_path / "o" / "users.db", "users_changes"):
            await seen("PUT", RULES, 503, json={"always": "bob"})


@on_loop
async def test_web_phone_reads_that_it_asks_too_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "REQUESTS_A_MINUTE", 2)
    async with phone_page(tmp_path) as (page, ours):
        ticket = page.ticket()
        answers = [await page.ask(ticket, headers={"Origin": origin}) for origin in (ours, *EVIL, ours)]
        assert [answer.status for answer in answers] == [200, 200, 429, 429, 429]
        assert [may_read(answer, origin) for answer, origin in zip(answers, (ours, *EVIL, ours), strict=True)] == [
            True,
            False,
            False,
            False,
            True,
        ]


@on_loop
async def test_web_phone_reads_that_management_is_at_fault(tmp_path: Path) -> None:
    """The answer says nothing of the fault, and the log has it."""

    async def fails(_request: web.Request) -> NoReturn:
        raise ZeroDivisionError("secret")

    async with phone_page(tmp_path) as (page, ours):
        node, told = page.network.nodes[MGMT], Told()
        judge = strangers.Strangers(lambda: node.view, asyncio.get_running_loop().time, told.log)
        app = web.Application(middlewares=[judge.answer_safely])
        app.add_routes([web.get("/", fails)])
        async with TestServer(app) as server, ClientSession() as client:
            for origin in (ours, *EVIL):
                headers = {"Origin": origin, "Host": str(node.view.invitation_host)}
                async with client.get(server.make_url("/"), headers=headers) as answer:
                    found = Answer(answer.status, await answer.text(), dict(answer.headers))
                assert (found.status, "secret" in found.text, may_read(found, origin)) == (500, False, origin == ours)
        assert all(isinstance(line["exc_info"], ZeroDivisionError) for line in told.events("fault"))
