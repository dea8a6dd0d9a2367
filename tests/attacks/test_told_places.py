"""What answers say to users while a database cannot be used: nothing of its place, and a status that has phones try again.

Beside each refusal, the same request succeeds once the database is back. Real TLS.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from server.invitations.test_file_pages import send
from server.invitations.test_rule_pages import RULES
from support.account_tickets import LIST, TicketPage
from support.contacts import DavPhone, vcard
from support.invited import Answer
from support.managed import MGMT
from support.portal import PortalBrowser, portal
from support.running import on_loop

CONTACT = {"name": "Bob", "address": "bob@example.test", "numbers": [], "groups": []}


@contextmanager
def without(database: Path, table: str) -> Iterator[None]:
    """Have a statement about *table* fail in the block."""

    def rename(before: str, after: str) -> None:
        with closing(sqlite3.connect(database)) as db:
            db.execute(f"ALTER TABLE {before} RENAME TO {after}")

    rename(table, f"{table}_away")
    try:
        yield
    finally:
        rename(f"{table}_away", table)


def says_no_place(text: str, folder: Path) -> bool:
    return not any(word in text for word in (str(folder), "users.db", "files.db", "sqlite", "postgresql", "table"))


@on_loop
async def test_contacts_are_refused_for_now_and_kept_afterwards(tmp_path: Path) -> None:
    """With HTTP 403 or 500 a phone would drop what its user has written."""
    async with TicketPage.opened(tmp_path, files={}) as page:
        alice, ticket = await DavPhone.set_up(page.network, page.person), page.ticket()

        async def ask() -> list[Answer]:
            return [
                await alice.ask("PUT", "/contacts/book/a.vcf", vcard("A", "a@partner.test")),
                await alice.ask("GET", "/contacts/book/a.vcf"),
                await page.ask(ticket, "PUT", f"{LIST}/b", json=CONTACT),
                await page.ask(ticket),
                await alice.ask("DELETE", "/contacts/book/a.vcf"),
            ]

        with without(tmp_path / "o" / "users.db", "users_contacts"):
            away = await ask()
        assert [answer.status for answer in away] == [503] * 5
        assert all("try again" in answer.text and says_no_place(answer.text, tmp_path) for answer in away)
        assert all(answer.headers["Retry-After"] == "60" for answer in away)
        assert "no such table" in next(iter(page.network.told[MGMT].events("request not served")))["why"]
        assert [answer.status for answer in await ask()] == [201, 200, 201, 200, 204]


@on_loop
async def test_rules_and_files_are_refused_for_now_and_kept_afterwards(tmp_path: Path) -> None:
    async with TicketPage.opened(tmp_path, files={}) as page:
        alice, ticket = await DavPhone.set_up(page.network, page.person), page.ticket()
        assert (await send(alice)).status == 200
        with without(tmp_path / "o" / "users.db", "users_changes"):
            rules = await page.ask(ticket, "PUT", RULES, json={"always": "bob"})
        with without(tmp_path / "o" / "state" / "files.db", "sent_files"):
            file = await send(alice)
        assert (rules.status, file.status) == (503, 503)
        assert says_no_place(rules.text, tmp_path)
        assert says_no_place(file.text, tmp_path)
        assert (await page.ask(ticket, "PUT", RULES, json={"always": "bob"})).status == 200
        assert (await send(alice)).status == 200


@on_loop
async def test_portal_says_nothing_of_the_place_of_a_database(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice:
        await alice.sign_in(provider)
        filled = await alice.get("/portal/contacts")
        with without(tmp_path / "o" / "users.db", "users_contacts"):
            away = [await alice.get("/portal/contacts"), await alice.post("/portal/contacts/remove", id="a")]
        assert (filled.status, [answer.status for answer in away]) == (200, [503, 503])
        assert all(says_no_place(answer.text, tmp_path) for answer in away)
        assert (await alice.get("/portal/contacts")).status == 200
