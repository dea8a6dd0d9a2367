"""Tickets over real TLS: those of a front end of the user's home pool count while the login counts, and no others."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.contacts.account_ticket import LIFETIME_S
from sipmesh.server.management.device_certificates import revoke_devices
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.portal.ticket_holder import holder_of_ticket
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.users.device_rows import remove_device
from sipmesh.storage.users.logout_rows import add_logout
from sipmesh.topology.view import view
from sipmesh.trust.x509.device_identity import DeviceIdentity
from support.account_tickets import ALICE, LIST, TicketPage
from support.contacts import DavPhone, vcard
from support.managed import MGMT
from support.management_with_invitations import with_certificates
from support.network import EDGE, FE1, FE2
from support.running import on_loop


def _unnoted(_act: AuditAct, /, **_about: object) -> None:
    """Keep no line."""


@on_loop
async def test_page_reads_and_changes_the_contacts_of_its_user_that_phones_see(tmp_path: Path) -> None:
    async with TicketPage.opened(tmp_path) as page:
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


@on_loop
async def test_tickets_of_others_and_of_other_times_open_nothing(tmp_path: Path) -> None:
    """Also that of another organisation with the same names, and that of a front end about a user of another pool."""
    async with TicketPage.opened(tmp_path / "n") as page:
        good, now = page.ticket(), time.time()
        assert (await page.ask(page.forged(FE1))).status == 200
        header, payload, signature = good.split(".")
        known = page.verifier()
        tickets = {
            "none": "",
            "changed": f"{header}.{payload[:-2]}xx.{signature}",
            "unsigned": f"{header}.{payload}.",
            "ended": page.ticket(at=now - LIFETIME_S - 1),
            "of tomorrow": page.ticket(at=now + 86_400),
            "of an edge": page.ticket(EDGE),
            "of an edge as a front end": page.forged(EDGE),
            "of another front end": page.forged(FE2),
            "of no server": page.forged(FE1, server="fe9.example.test"),
            "of a user who is none": page.forged(FE1, user="sip:mallory@example.test"),
            "of a user of a partner": page.forged(FE1, user="sip:alice@partner.test"),
            "of an earlier user of the name": page.forged(FE1, created=known.created - 1),
            "of another organisation": page.of_partner(tmp_path / "other"),
            "of another kind": "x" * 5_000,
            "not JSON": page.forged(FE1, until="soon"),
        }
        users = page.users()
        users.move("sip:bob@example.test", "pool9.example.test")
        tickets["of a user of another pool"] = page.ticket(user="sip:bob@example.test")
        seen = {name: (await page.ask(ticket)).status for name, ticket in tickets.items()}
        assert [name for name, status in seen.items() if status != 401] == []
        assert (await page.ask(good)).status == 200
        users.set_password(ALICE, "another-secret")
        assert (await page.ask(good)).status == 401
        again = page.ticket()
        assert (await page.ask(again)).status == 200
        users.remove(ALICE)
        assert (await page.ask(again)).status == 401
        users.add(ALICE, "alice-secret")
        assert (await page.ask(again)).status == 401
        assert (await page.ask(page.ticket())).status == 200
        users.close()


@on_loop
async def test_ticket_ends_with_the_device_that_has_logged_in(tmp_path: Path) -> None:
    """The ticket of another device of the user, and that of the own password, stay."""
    async with TicketPage.opened(tmp_path) as page:
        await DavPhone.set_up(page.network, page.person)
        await DavPhone.set_up(page.network, page.person)
        first, second = [one.generation for one in page.verifier().devices.values()]
        tickets = [page.ticket(generation=first), page.ticket(generation=second), page.ticket()]
        loaded, at = view(page.network.organisation.load(), MGMT), datetime.now(UTC)
        assert [holder_of_ticket(loaded, one, at).device for one in tickets] == ["json", "json-2", ""]
        users = page.users()
        with users.locked() as db:
            remove_device(db, ALICE, "json")
        users.close()
        assert [(await page.ask(one)).status for one in tickets] == [401, 200, 200]


@on_loop
async def test_ticket_of_a_sign_in_ends_with_the_logout_at_the_provider(tmp_path: Path) -> None:
    async with TicketPage.opened(tmp_path) as page:
        now = int(time.time()) + 1  # a token from before the account was added is of another user
        gone, other = [page.ticket(issued_at=now, session=session) for session in ("s1", "s2")]
        assert [(await page.ask(one)).status for one in (gone, other)] == [200, 200]
        users = page.users()
        with users.locked() as db:
            add_logout(db, ALICE, "s1", now)
        assert [(await page.ask(one)).status for one in (gone, other, page.ticket())] == [401, 200, 200]
        with users.locked() as db:
            add_logout(db, ALICE, "", now)
        users.close()
        assert [(await page.ask(one)).status for one in (other, page.ticket())] == [401, 200]


@on_loop
async def test_ticket_of_a_certificate_ends_with_it(tmp_path: Path) -> None:
    async with TicketPage.opened(tmp_path) as page:
        await with_certificates(page.network)
        ca, at = page.network.organisation.ca, datetime.now(UTC)
        ca.issue_device(DeviceIdentity(ALICE, "desk"), at - timedelta(minutes=1))
        desk, phantom = page.ticket(device="desk"), page.ticket(device="lamp")
        assert [(await page.ask(one)).status for one in (desk, phantom)] == [200, 401]
        made = CaGenerations(page.network.organisation.load().folder / CA)
        assert revoke_devices(made, ("alice@example.test",), Reason.KEY_COMPROMISE, at, _unnoted, "desk")
        assert (await page.ask(desk)).status == 401


@on_loop
async def test_page_of_another_site_may_not_ask(tmp_path: Path) -> None:
    async with TicketPage.opened(tmp_path) as page:
        headers = {"Origin": "https://evil.test", "Access-Control-Request-Method": "PUT"}
        answer = await page.person.ask("OPTIONS", f"{page.base}{LIST}/c1", headers=headers)
        assert (answer.status, "Access-Control-Allow-Origin" in answer.headers) == (403, False)
