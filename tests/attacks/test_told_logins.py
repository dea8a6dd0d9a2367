"""Servers with a stolen key that claim a login of a user, to get a ticket for the account or to use one of their own."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from server.invitations.test_file_pages import FIELDS, upload
from server.proxy.events.test_notifier import subscribe, watch
from sipmesh.routing.events.login_proof import FIELD
from sipmesh.server.tracing.shown import LEFT_OUT
from support.account_tickets import ALICE, TicketPage
from support.managed import MGMT, Managed, build_published, second_pool
from support.management_with_invitations import invitee
from support.model_ports import model_port
from support.network import EDGE, FE1, FE2, FE3
from support.peer import Peer
from support.running import on_loop, until

FORGED = (FIELD, "1;;0;;")
ASSERTED = ("p-asserted-identity", f"<{ALICE}>")


@cache
def _port() -> int:
    return model_port()


def network_in(folder: Path) -> Managed:
    """Two pools of front ends, with the pages of invitations and files."""
    pages = {"listen": f"127.0.0.1:{_port()}"}
    return Managed(build_published(folder / "o", second_pool(), invitations=pages, files={}), folder / "s")


async def account(phone: Peer) -> object:
    _, notify = await watch(phone, ALICE, "ua-profile", FORGED)
    return json.loads(notify.body).get("account")


@pytest.mark.parametrize("thief", [FE3, EDGE])
@on_loop
async def test_server_of_another_pool_gets_no_ticket_for_a_login_that_it_claims(tmp_path: Path, thief: str) -> None:
    async with network_in(tmp_path) as network:
        await network.start(MGMT)
        await network.start(FE1, FE2)
        await until(lambda: network.nodes[FE1].users.ready)
        other = await network.peer(FE1, thief)
        answer = await other.ask(subscribe(other, ALICE, "ua-profile", ASSERTED, FORGED))
        assert answer.status == 403
        alice = await network.phone(FE1, "alice")
        assert (await alice.register()).status == 200
        assert await account(alice)


@on_loop
async def test_trace_with_bodies_shows_the_profile_of_a_user_without_its_ticket(tmp_path: Path) -> None:
    """A security officer could change the rules of the user otherwise, in the name of the user."""
    async with network_in(tmp_path) as network, invitee(network) as person:
        await network.start(MGMT)
        await network.start(FE1, FE2)
        for server in (FE1, FE2):
            await until(lambda server=server: network.nodes[server].users.ready)  # type: ignore[misc]
            network.nodes[server].tracer.take("t1", "alice", "sona (1)", with_bodies=True)
        alice = await network.phone(FE1, "alice")
        assert (await alice.register()).status == 200
        ticket = dict(await account(alice))["ticket"]  # type: ignore[call-overload]
        shown = [
            one.body
            for server in (FE1, FE2)
            for one in network.nodes[server].tracer.take("t1", "alice", "sona (1)", with_bodies=True).messages
        ]
        assert [LEFT_OUT in body for body in shown if '"ticket"' in body].count(False) == 0
        assert (any('"ticket"' in body for body in shown), ticket in "".join(shown)) == (True, False)
        page = TicketPage(network, person, "https://" + network.nodes[MGMT].view.invitation_host)
        assert (await page.ask(ticket, "PUT", "/rules", json={"do_not_disturb": True})).status == 200


@on_loop
async def test_ticket_of_another_pool_sends_no_file(tmp_path: Path) -> None:
    async with network_in(tmp_path) as network, invitee(network) as person:
        await network.start(MGMT)
        page = TicketPage(network, person, "")
        page.base = "https://" + network.nodes[MGMT].view.invitation_host
        for server, status in ((FE3, 401), (EDGE, 401), (FE2, 200)):
            fields = {"Content-Type": FIELDS["Content_Type"]}
            answer = await page.ask(page.ticket(server), "POST", "/files", data=upload(b"x"), headers=fields)
            assert answer.status == status, server
