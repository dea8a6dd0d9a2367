"""What strangers may use of the pages of invitations: requests, guesses and connections; and which pages read the answers."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from attacks.test_told_places import CONTACT, without
from server.invitations.test_device_login import DigestPhone
from server.invitations.test_file_pages import FIELDS, upload
from sipmesh.demo.ports import HOST
from sipmesh.server.invitations import strangers
from sipmesh.server.process import request_rate
from sipmesh.topology.document.parts.files import FILES
from sipmesh.topology.document.parts.invitations import CONTACTS, RULES
from support.account_tickets import BOB, LIST, TicketPage
from support.console import Visitor
from support.contacts import DavPhone
from support.invited import Answer
from support.managed import MGMT
from support.management_with_invitations import invite, invitee, management_with_invitations
from support.network import FE1
from support.running import on_loop
from support.site_behind_nat import ADDRESS_HAS, ALL_HAVE, Site
from support.telling import Told
from support.tiers import wide_after
from support.web_peer import open_websocket, web_address

FILE = {name.replace("_", "-"): value for name, value in FIELDS.items()}
EVIL = ("https://evil.test", "null", "https://fe1.example.test.evil.test:8443")


@on_loop
async def test_guesses_are_refused_after_some_and_the_right_link_still_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also from the address of the guesser: behind it can be a whole site."""
    monkeypatch.setattr(request_rate, "WINDOW_S", 1e9)  # no minute ends between the guesses
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


@on_loop
async def test_user_who_asks_too_often_keeps_no_other_user_of_its_address_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob uses his own requests up, then those of the address without a login. Who had a right login before is served."""
    async with Site.opened(tmp_path, monkeypatch, REQUESTS_OF_USER=20) as site:
        assert await site.alice() == 200
        assert [await site.bob() for _ in range(21)] == [200] * 20 + [429]
        fresh = [await site.bob(site.page.ticket(user=BOB, link=f"l{n}")) for n in range(3)]
        assert fresh == [429] * 3
        assert await site.flood() == ADDRESS_HAS - 1 - len(
            fresh
        )  # each was judged; and the invitation was taken before
        assert [await site.alice() for _ in range(ADDRESS_HAS)] == [200] * ADDRESS_HAS
        assert (await site.page.person.get(f"{site.page.base}/nothing")).status == 429
        assert (await site.page.ask("stolen")).status == 429


@on_loop
async def test_ten_addresses_that_use_up_the_requests_of_all_keep_no_user_out_who_was_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Site.opened(tmp_path, monkeypatch) as site, AsyncExitStack() as stack:
        assert (await site.alice(), await site.bob()) == (200, 200)
        flooders = [await stack.enter_async_context(invitee(site.page.network, f"127.0.1.{n}")) for n in range(1, 11)]
        assert sum([await site.flood(one) for one in flooders]) > ALL_HAVE // 2
        stranger = await stack.enter_async_context(invitee(site.page.network, "127.0.2.1"))
        assert await site.flood(stranger) == 0
        assert [(await site.alice(), await site.bob()) for _ in range(ADDRESS_HAS)] == [(200, 200)] * ADDRESS_HAS


@on_loop
async def test_right_logins_leave_the_requests_of_their_address_to_strangers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first login too, which was not known before."""
    async with Site.opened(tmp_path, monkeypatch, REQUESTS_OF_ALL=ADDRESS_HAS) as site:
        tickets = [site.page.ticket(user=BOB, link=f"l{n}") for n in range(2 * ADDRESS_HAS)]
        assert [await site.bob(one) for one in tickets] == [200] * len(tickets)
        assert await site.flood() == ADDRESS_HAS - 1  # the invitation of the phone was taken before
        assert await site.bob(tickets[0]) == 200


@on_loop
async def test_guess_of_a_user_name_uses_nothing_of_the_user_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by Basic nor by Digest, nor by a response of the user that was copied; and the phone stays known."""
    async with Site.opened(tmp_path, monkeypatch, REQUESTS_OF_USER=3, REQUESTS_A_MINUTE=30) as site:
        phone = DigestPhone(site.phone)
        given = await phone.challenge()
        right = phone.written(given)
        assert (await phone.send(right)).status == 207
        wrong = DigestPhone(DavPhone(site.page.person, site.phone.base, "x"))
        async with invitee(site.page.network, "127.0.0.9") as thief:
            copied = DigestPhone(DavPhone(thief, site.phone.base, "x"))
            for n in range(2, 6):
                assert (await wrong.send(wrong.written(given, n))).status == 401
                assert (await DavPhone(site.page.person, site.phone.base, "x").ask("GET", LIST)).status == 401
                assert (await copied.send(right)).status == 401
        await site.flood()
        assert [(await phone.send(phone.written(given, n))).status for n in (2, 3, 4)] == [207, 207, 429]


@on_loop
async def test_digest_phone_and_browser_are_challenged_and_served_beside_a_flood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they ask first has no login: a challenge with a new nonce, and a preflight."""
    async with Site.opened(tmp_path, monkeypatch) as site:
        organisation = site.page.network.organisation
        open_websocket(organisation, phone=True)
        await site.page.network.publish()
        phone = DigestPhone(site.phone)
        assert (await phone.send(phone.written(await phone.challenge()))).status == 207
        assert await site.bob() == 200
        await site.flood()
        for _ in range(strangers.FAILURES_A_MINUTE + 1):
            assert (await phone.send(phone.written(await phone.challenge()))).status == 207
            page = {
                "Origin": f"https://{FE1}:{web_address(organisation, FE1)[1]}",
                "Access-Control-Request-Method": "PUT",
            }
            preflight = await site.page.person.ask("OPTIONS", f"{site.page.base}{RULES}", headers=page)
            assert (preflight.status, preflight.headers["Access-Control-Allow-Origin"]) == (204, page["Origin"])
            assert await site.bob() == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nothing"), ("OPTIONS", "/nothing"), ("GET", f"{FILES}/x"), ("PUT", RULES)]
)
@on_loop
async def test_other_requests_without_a_login_are_refused_beyond_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    async with Site.opened(tmp_path, monkeypatch) as site:
        await site.flood()
        assert (await site.page.person.ask(method, f"{site.page.base}{path}")).status == 429


@on_loop
async def test_connection_ends_with_a_challenge_beyond_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To go on costs a handshake, as after a refusal."""
    async with Site.opened(tmp_path, monkeypatch) as site:
        await site.flood()
        url = urlsplit(site.page.base)
        trust = ssl.create_default_context(cafile=str(site.page.network.organisation.root))
        reader, writer = await asyncio.open_connection(HOST, url.port, ssl=trust, server_hostname=url.hostname)
        writer.write(f"GET {LIST} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode() * 2)
        answers = await reader.read()
        assert (answers.count(b"HTTP/1.1 401"), answers.count(b"HTTP/1.1")) == (1, 1)
        writer.close()


@on_loop
async def test_login_that_has_ended_is_refused_at_once_and_is_a_stranger_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The login of another device of the user counts on."""
    async with Site.opened(tmp_path, monkeypatch, REQUESTS_OF_USER=5) as site:
        bearer = site.page.ticket()
        assert (await site.alice(), await site.bob(bearer)) == (200, 200)
        await site.flood()
        async with Visitor(site.page.network, "otto-token") as operator:
            gone = await operator.ask("POST", "/api/v1/user/device/revoke", json={"user": "alice", "device": "json"})
            assert gone.status == 200, gone.text
        assert [await site.alice() for _ in range(3)] == [401, 429, 429]
        assert [await site.bob(bearer) for _ in range(2)] == [200, 200]


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
    monkeypatch.setattr(strangers, "REQUESTS_OF_USER", 2)
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
