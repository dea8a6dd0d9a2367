"""Tickets over real TLS: those of a front end of the user's home pool count, and no others."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sipmesh.pki import files
from sipmesh.server.contacts.contact_ticket import KIND, LIFETIME_S, write_ticket
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import sign
from sipmesh.topology.view import view
from support.contacts import DavPhone, vcard
from support.invited import Answer, Invitee
from support.managed import Managed
from support.management_with_invitations import invite, invitee, management_with_invitations
from support.network import EDGE, FE1, FE2, build_example
from support.running import on_loop

ALICE = "sip:alice@example.test"
LIST = "/contacts/list"


class Page:
    """A web phone at management with a ticket."""

    def __init__(self, network: Managed, person: Invitee, base: str) -> None:
        self.network, self.person, self.base = network, person, base

    def generation(self, user: str = ALICE) -> int:
        users = Users(self.network.organisation.load().users_url, in_memory=False)
        try:
            return users.get(user).generation
        finally:
            users.close()

    def ticket(self, server: str = FE1, user: str = ALICE, at: float = 0.0, generation: int = 0) -> str:
        loaded = self.network.organisation.load()
        return write_ticket(view(loaded, server), user, generation or self.generation(user), at or time.time())

    async def ask(self, ticket: str, method: str = "GET", path: str = LIST, **given: Any) -> Answer:
        headers = {"Authorization": f"Bearer {ticket}"}
        return await self.person.ask(method, f"{self.base}{path}", headers=headers, **given)


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[Page]:
    async with management_with_invitations(tmp_path / "n") as network, invitee(network) as person:
        yield Page(network, person, (await invite(network)).partition("/i/")[0])


@on_loop
async def test_page_reads_and_changes_the_contacts_of_its_user_that_phones_see(tmp_path: Path) -> None:
    async with opened(tmp_path) as page:
        ticket = page.ticket()
        bob = {"name": "Bob", "address": "bob@example.test", "numbers": ["112"], "groups": ["Work"]}
        assert (await page.ask(ticket, "PUT", f"{LIST}/c1", json=bob)).status == 201
        assert (await page.ask(page.ticket(FE2), "PUT", f"{LIST}/c1", json={**bob, "name": "Bobby"})).status == 204
        listed = json.loads((await page.ask(ticket)).text)
        assert listed["contacts"] == [{"id": "c1", **bob, "name": "Bobby"}]
        phone = await DavPhone.set_up(page.network, page.person)
        assert await phone.names() == ["Bobby"]
        assert await phone.put("c2", vcard("Carol", "carol@example.test")) == 201
        assert (await page.ask(ticket, "DELETE", f"{LIST}/c1")).status == 204
        assert [one["name"] for one in json.loads((await page.ask(ticket)).text)["contacts"]] == ["Carol"]
        wrongs: list[object] = [{**bob, "name": "\x1b"}, {**bob, "aor": "sip:bob@example.test"}, [], {"address": "x"}]
        for wrong in wrongs:
            assert (await page.ask(ticket, "PUT", f"{LIST}/c3", json=wrong)).status == 403, wrong
        assert (await page.ask(page.ticket(user="sip:bob@example.test"))).text == '{"contacts": [], "most": 500}'


def forged(page: Page, signer: str, **claims: object) -> str:
    """A ticket that the key of *signer* has signed, with any *claims*."""
    served = view(page.network.organisation.load(), signer)
    said = {"server": FE1, "user": ALICE, "generation": page.generation(), "until": int(time.time()) + 60, **claims}
    chain = read_certificates(served.certificate)
    return sign(json.dumps(said).encode(), KIND, chain, files.read_key(served.key)).decode()


@on_loop
async def test_tickets_of_others_and_of_other_times_open_nothing(tmp_path: Path) -> None:
    """Also that of another organisation with the same names, and that of a front end about a user of another pool."""
    async with opened(tmp_path) as page:
        good, now = page.ticket(), time.time()
        assert (await page.ask(forged(page, FE1))).status == 200
        other = build_example(tmp_path / "other")
        header, payload, signature = good.split(".")
        stranger = view(other.load(), FE1)
        tickets = {
            "none": "",
            "changed": f"{header}.{payload[:-2]}xx.{signature}",
            "unsigned": f"{header}.{payload}.",
            "ended": page.ticket(at=now - LIFETIME_S - 1),
            "of tomorrow": page.ticket(at=now + 86_400),
            "of an edge": page.ticket(EDGE),
            "of an edge as a front end": forged(page, EDGE),
            "of another front end": forged(page, FE2),
            "of no server": forged(page, FE1, server="fe9.example.test"),
            "of a user who is none": forged(page, FE1, user="sip:mallory@example.test"),
            "of a user of a partner": forged(page, FE1, user="sip:alice@partner.test"),
            "of another organisation": write_ticket(stranger, ALICE, page.generation(), now),
            "of another kind": "x" * 5_000,
            "not JSON": forged(page, FE1, until="soon"),
        }
        users = Users(page.network.organisation.load().users_url, in_memory=False)
        users.move("sip:bob@example.test", "pool9.example.test")
        tickets["of a user of another pool"] = page.ticket(user="sip:bob@example.test")
        seen = {name: (await page.ask(ticket)).status for name, ticket in tickets.items()}
        assert [name for name, status in seen.items() if status != 401] == []
        assert (await page.ask(good)).status == 200
        users.set_password(ALICE, "another-secret")
        users.close()
        assert (await page.ask(good)).status == 401
        assert (await page.ask(page.ticket())).status == 200


@on_loop
async def test_page_of_another_site_may_not_ask(tmp_path: Path) -> None:
    async with opened(tmp_path) as page:
        headers = {"Origin": "https://evil.test", "Access-Control-Request-Method": "PUT"}
        answer = await page.person.ask("OPTIONS", f"{page.base}{LIST}/c1", headers=headers)
        assert (answer.status, "Access-Control-Allow-Origin" in answer.headers) == (403, False)
