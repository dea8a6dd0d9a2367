"""Tickets end with the login by which the phone has subscribed, also if another server of the pool is the notifier."""

from __future__ import annotations

import json
from pathlib import Path

from server.proxy.events.test_notifier import told, watch
from sipmesh.routing.call_rules.call_rules import NO_RULES
from sipmesh.routing.events.login_proof import FIELD
from sipmesh.storage.users.device_rows import remove_device
from support.account_tickets import ALICE, BOB, TicketPage
from support.contacts import DavPhone
from support.network import FE1, FE2
from support.peer import Peer
from support.running import on_loop, until

RULES = "/rules"
FORGED = (FIELD, "1;lamp;0;;")


async def ticket_of(phone: Peer) -> str:
    """Give the ticket in the profile of the user of *phone*, which claims another login."""
    _, notify = await watch(phone, f"sip:{phone.user}", "ua-profile", FORGED)
    return str(json.loads(notify.body)["account"]["ticket"])


def held_at(server: str) -> dict[str, object]:
    """The rules that are set while the phones are at *server*."""
    return {"do_not_disturb": True} if server == FE1 else {}


@on_loop
async def test_change_is_in_force_and_the_ticket_names_the_device_at_each_server_of_the_pool(tmp_path: Path) -> None:
    """One of both servers is the notifier. What a phone claims itself counts nowhere. The rules reach phones at once."""
    async with TicketPage.opened(tmp_path) as page:
        network = page.network
        device = await DavPhone.set_up(network, page.person)
        await network.start(FE1, FE2)
        await until(lambda: all(network.nodes[server].users.ready for server in (FE1, FE2)))
        for server in (FE1, FE2):
            own, desk, bob = [await network.phone(server, user) for user in ("alice", "alice", "bob")]
            desk.login = "alice+json"
            assert (await own.register()).status == 200
            assert (await desk.register(password=device.password)).status == 200
            assert (await bob.register()).status == 200
            tickets = [await ticket_of(phone) for phone in (own, desk, bob)]
            seen = []
            for ticket in tickets:
                answer = await page.ask(ticket, "PUT", RULES, json={"do_not_disturb": server == FE1})
                seen.append((answer.text, network.master.management_db.audit.read()[-1].who.partition(", ")[2]))
            done = '{"missing": 0}'
            assert seen == [(done, ""), (done, "device json)"), (done, "")]
            assert json.loads((await told(own)).body)["callRules"] == held_at(server)
            for user in (ALICE, BOB):
                held = network.nodes[server].homes.call_rules(user) or NO_RULES
                assert held.as_json() == held_at(server)
        users = page.users()
        with users.locked() as db:
            remove_device(db, ALICE, "json")
        users.close()
        assert [(await page.ask(one)).status for one in tickets] == [200, 401, 200]
