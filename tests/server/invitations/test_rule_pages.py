"""Rules of calls from the web phone, over real TLS: for the user of the ticket, with the permissions of that user alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sipmesh.server.portal.portal_guard import CHANGES_A_MINUTE
from sipmesh.storage.users.device_rows import remove_device
from support.account_tickets import ALICE, BOB, TicketPage
from support.contacts import DavPhone
from support.network import FE1, FE2
from support.running import on_loop
from support.web_peer import open_websocket, web_address

RULES = "/rules"
ORIGIN = "Access-Control-Allow-Origin"


async def put(page: TicketPage, ticket: str, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
    """Change rules; gives the status and the answer."""
    answer = await page.ask(ticket, "PUT", RULES, json=body, headers=headers)
    return answer.status, json.loads(answer.text) if answer.text.startswith("{") else {}


def rules_of(page: TicketPage, user: str = ALICE) -> dict[str, object]:
    users = page.users()
    try:
        return users.get(user).calls.as_json()
    finally:
        users.close()


def author(page: TicketPage) -> str:
    """Give who has made the newest line of the audit log."""
    return str(page.network.master.management_db.audit.read()[-1].who)


@on_loop
async def test_user_changes_each_rule_and_the_audit_log_names_user_and_device(tmp_path: Path) -> None:
    async with TicketPage.opened(tmp_path) as page:
        phone = await DavPhone.set_up(page.network, page.person)
        device = page.verifier().devices["json"].generation
        ticket = page.ticket(generation=device)
        asked = {
            "always": "bob",
            "busy": "bob@example.test",
            "no_answer": "bob",
            "ring_s": 15,
            "away": "bob",
            "also": ["bob"],
            "delegates": ["bob"],
            "do_not_disturb": True,
            "unlisted": True,
            "callers": {"eve@partner.test": "block", "anonymous": "block", "bob": "allow"},
        }
        assert await put(page, ticket, asked) == (200, {"missing": 2})  # no front end runs here
        held = rules_of(page)
        assert held.keys() == asked.keys()
        assert held["callers"] == {"sip:eve@partner.test": "block", "anonymous": "block", BOB: "allow"}
        assert author(page) == f"alice@example.test (web phone at {FE1}, device json)"
        assert (await put(page, page.ticket(), {"always": "none", "callers": {"anonymous": "none"}}))[0] == 200
        assert "always" not in rules_of(page)
        assert author(page) == f"alice@example.test (web phone at {FE1})"
        assert (await page.ask(ticket, "DELETE", RULES)).status == 200
        assert rules_of(page) == {}
        assert await phone.names() == []


NUMBERS = {
    "country": "49",
    "classes": [
        {"name": "premium", "numbers": ["+49900"]},
        {"name": "abroad", "numbers": ["+1"], "users": ["alice@example.test"]},
    ],
}
WRONG: list[tuple[object, str]] = [
    ({"busy": "mallory"}, "busy"),
    ({"no_answer": "alice"}, "no_answer"),
    ({"always": "+4990012345"}, "always"),  # no class of numbers allows it to alice
    ({"away": "112"}, "away"),
    ({"also": ["bob", "carol@evil.test"]}, "also"),
    ({"delegates": ["alice"]}, "delegates"),
    ({"ring_s": 3}, "ring_s"),
    ({"ring_s": 5_000}, "ring_s"),
    ({"ring_s": "soon"}, "ring_s"),
    ({"callers": {"@": "block"}}, "callers"),
    ({"callers": {"bob": "answer"}}, "callers"),
    ({"also": ["x" * 5_000]}, "also"),
    ({"user": "bob"}, ""),
    ({"members": ["bob"]}, ""),
    ([], ""),
    ("x", ""),
]


@on_loop
async def test_rule_that_cannot_be_kept_is_refused_at_its_field_and_changes_nothing(tmp_path: Path) -> None:
    """The rule beside it, which is right, is not kept either."""
    async with TicketPage.opened(tmp_path) as page:
        page.network.organisation.document["numbers"] = NUMBERS
        page.network.organisation.write()
        await page.network.publish()
        ticket = page.ticket()
        for asked, field in WRONG:
            body = {"do_not_disturb": True, **asked} if isinstance(asked, dict) else asked
            status, answer = await put(page, ticket, body)
            assert (status, answer.get("field"), bool(answer.get("error"))) == (422, field, True), (asked, answer)
        assert (rules_of(page), rules_of(page, BOB)) == ({}, {})
        assert (await put(page, ticket, {"busy": "+1 212 555 0100"}))[0] == 200
        assert rules_of(page) == {"busy": "tel:+12125550100"}


@on_loop
async def test_rules_change_for_no_login_but_that_of_their_user(tmp_path: Path) -> None:
    """Also not by a device password, which desk phones keep, by a token of an operator, or by a wrong ticket."""
    async with TicketPage.opened(tmp_path / "n") as page:
        phone = await DavPhone.set_up(page.network, page.person)
        stolen = page.ticket(generation=page.verifier().devices["json"].generation)
        body = json.dumps({"busy": "bob"})
        assert (await put(page, page.ticket(user=BOB), {"busy": "alice"}))[0] == 200
        assert (rules_of(page), rules_of(page, BOB)) == ({}, {"busy": ALICE})
        assert (await phone.ask("PUT", RULES, body)).status == 401
        partner = page.of_partner(tmp_path / "other")
        for ticket in ("", "otto-token", page.ticket(FE2, at=1.0), stolen[:-3] + "xxx", partner):
            assert (await put(page, ticket, {"busy": "bob"}))[0] == 401, ticket
            assert (await page.ask(ticket, "DELETE", RULES)).status == 401
        assert rules_of(page) == {}
        assert (await put(page, stolen, {"busy": "bob"}))[0] == 200
        users = page.users()
        with users.locked() as db:
            remove_device(db, ALICE, "json")
        assert (await put(page, stolen, {"busy": "bob"}))[0] == 401
        last = page.ticket()
        users.remove(ALICE)
        users.close()
        assert (await put(page, last, {"busy": "bob"}))[0] == 401


@on_loop
async def test_page_of_another_site_changes_nothing_and_that_of_a_front_end_reads_each_answer(tmp_path: Path) -> None:
    async with TicketPage.opened(tmp_path) as page:
        ticket, evil = page.ticket(), {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
        assert (await page.ask(ticket, "PUT", RULES, json={"busy": "bob"}, headers=evil)).status == 403
        asks = {**evil, "Access-Control-Request-Method": "PUT"}
        refused = await page.ask("", "OPTIONS", RULES, headers=asks)
        assert (refused.status, ORIGIN in refused.headers, rules_of(page)) == (403, False, {})
        open_websocket(page.network.organisation, phone=True)
        await page.network.publish()
        port = web_address(page.network.organisation, FE2)[1]
        ours = {"Origin": f"https://{FE2}:{port}", "Sec-Fetch-Site": "cross-site"}
        allowed = await page.ask("", "OPTIONS", RULES, headers={**asks, **ours})
        assert (allowed.status, allowed.headers["Access-Control-Allow-Methods"]) == (204, "PUT, DELETE")
        seen = []
        for given, body in ((ticket, {"busy": "bob"}), (ticket, {"busy": "alice"}), ("", {"busy": "bob"})):
            answer = await page.ask(given, "PUT", RULES, json=body, headers=ours)
            seen.append((answer.status, answer.headers[ORIGIN] == ours["Origin"]))
        assert seen == [(200, True), (422, True), (401, True)]


@on_loop
async def test_changes_of_one_user_are_bounded_and_those_of_another_go_on(tmp_path: Path) -> None:
    async with TicketPage.opened(tmp_path) as page:
        ticket = page.ticket()
        seen = [(await put(page, ticket, {"ring_s": 3}))[0] for _ in range(CHANGES_A_MINUTE + 1)]
        assert (seen[0], seen[-1]) == (422, 429)
        assert (await put(page, page.ticket(user=BOB), {"busy": "alice"}))[0] == 200
        assert (await page.ask(ticket, "PUT", RULES, data=b"x" * 70_000)).status == 429
        assert (await page.ask(page.ticket(user=BOB), "PUT", RULES, data=b"x" * 70_000)).status == 413
