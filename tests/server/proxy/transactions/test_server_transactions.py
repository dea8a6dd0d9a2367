"""Received requests: what answers them, what ends them, and what is left of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from routing.messages import request
from sipmesh.cli.versions import built
from sipmesh.routing.proxy.branch_kinds import SILENT_S
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.proxy.transactions.server_transactions import ServerTransactions
from sipmesh.sip.framing import MAX_ROWS
from sipmesh.sip.message import Response, respond
from sipmesh.sip.transaction.ack import ack_for, cancel_for
from sipmesh.sip.transaction.timers import Timer
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, FE3, Network
from support.peer import Peer
from support.received import received
from support.running import on_jumping_loop, on_loop, until
from support.still_server import partner, statuses, still_server, written_on
from support.ticking import SLACK_S, is_idle, ticking

still = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")

FINAL_S = Timer.L.seconds


@asynccontextmanager
async def serving(home: Network) -> AsyncIterator[tuple[ServerTransactions, Flow, Peer]]:
    """The transactions of a front end, with the flow of a phone."""
    async with home:
        alice = await home.phone("alice", FE1)
        node = home.nodes[FE1]
        await until(lambda: [one for one in node.flow_table.sessions() if one.users])
        [flow] = node.flow_table.sessions()
        yield node.relay.server_transactions, flow, alice


def overlong(status: int) -> Response:
    response = respond(request(), status)
    while len(response.rows) <= MAX_ROWS:
        response.append("x-row", "1")
    return response


@on_loop
async def test_final_response_is_sent_counted_and_ends_a_message(home: Network) -> None:
    async with serving(home) as (transactions, flow, alice):
        proxied = transactions.begin(received(flow, request("MESSAGE")))
        assert flow.served == {"key": proxied}
        proxied.hold(100)
        transactions.answer(proxied, respond(proxied.request, 404))
        assert (await alice.final()).status == 404
        assert (flow.served, proxied.account.octets, transactions.answered["MESSAGE"][4]) == ({}, 0, 1)


@pytest.mark.parametrize(("status", "sent"), [(200, 502), (183, None)])
@on_loop
async def test_response_that_no_reader_accepts_is_replaced_or_dropped(
    home: Network, status: int, sent: int | None
) -> None:
    """What made it too long is the fault of its sender."""
    async with serving(home) as (transactions, flow, alice):
        transactions.answer(transactions.begin(received(flow, request("INVITE"))), overlong(status))
        if sent is None:
            await alice.silent()
        else:
            assert (await alice.final()).status == sent


@on_loop
async def test_wait_for_silent_phones_begins_once(home: Network) -> None:
    async with serving(home) as (transactions, flow, _):
        proxied = transactions.begin(received(flow, request("INVITE")))
        transactions.await_silent(proxied, restarts=False)
        transactions.await_silent(proxied, restarts=False)
        assert len(transactions.silent) == 1
        assert transactions.silent.seconds == SILENT_S
        transactions.drop(proxied)
        assert len(transactions.silent) == 0


@on_jumping_loop
@pytest.mark.wide
async def test_accepted_call_is_forgotten_after_half_a_minute_with_or_without_ack(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("INVITE"), 200)
        assert (await alice.final()).status == 200
        assert not is_idle(node)
        await asyncio.sleep(FINAL_S + SLACK_S)
        assert is_idle(node)


@on_jumping_loop
async def test_refused_call_keeps_only_a_key_for_its_ack(home: Network) -> None:
    """Its ACK ends here, and is not forwarded to the callee like the ACK of a 2xx."""
    async with ticking(home) as (node, alice, bob):
        invite = alice.request("INVITE", "sip:bob@example.test", body=b"x" * 1_000)
        await alice.send(invite)
        await bob.reply(await bob.request_in("INVITE"), 486)
        refused = await alice.final()
        assert refused.status == 486
        assert is_idle(node)
        await bob.request_in("ACK")  # our ACK for its 486
        await alice.send(ack_for(invite, refused))
        await alice.silent()
        await bob.silent()


@on_jumping_loop
@pytest.mark.wide
async def test_cancelled_call_ends_with_487_even_if_the_phone_is_silent(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        invite = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(invite)
        await bob.reply(await bob.request_in("INVITE"), 180)
        began = node.loop.time()
        await alice.send(cancel_for(invite))
        assert (await alice.final(method="INVITE")).status == 487
        assert FINAL_S <= node.loop.time() - began <= FINAL_S + SLACK_S


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (LinkKind.CLIENT, 200, (200, True)),
        (LinkKind.PARTNER, 200, (200, False)),
        (LinkKind.SERVER, 430, (430, True)),
    ],
)
@still
@on_loop
async def test_response_of_a_branch_goes_on_as_its_receiver_may_see_it(
    federation: Network, kind: LinkKind, status: int, expected: tuple[int, bool]
) -> None:
    async with still_server(federation.organisations[0], FE1 if kind is LinkKind.CLIENT else EDGE) as server:
        peer = {LinkKind.PARTNER: partner(server), LinkKind.SERVER: server.parts.setup.view.trusted[FE1]}.get(kind)
        flow, transactions = server.flow(kind, peer), server.core._transactions
        response = respond(request("MESSAGE"), status, headers=(("p-asserted-identity", "<sip:bob@example.test>"),))
        transactions.forward(transactions.begin(received(flow, request("MESSAGE"))), response)
        [sent] = written_on(flow)
        assert (statuses(flow), sent.has("p-asserted-identity")) == ([expected[0]], expected[1])


@pytest.mark.parametrize(("status", "holds", "sent"), [(180, True, []), (486, True, [500]), (486, False, [513])])
@still
@on_loop
async def test_sender_without_room_gets_a_short_final_response(
    home: Network, status: int, *, holds: bool, sent: list[int]
) -> None:
    async with still_server(home.organisations[0]) as server:
        flow, transactions = server.phone(), server.core._transactions
        link: Any = flow.link
        link.room, link.can_hold = 0, lambda _size: holds
        transactions.forward(transactions.begin(received(flow, request("INVITE"))), respond(request("INVITE"), status))
        assert statuses(flow) == sent


@still
@on_loop
async def test_carried_flow_gets_480_in_place_of_430(two_pools: Network) -> None:
    """To the server with the link, 430 says that the login is unknown here, while another flow has failed."""
    async with still_server(two_pools.organisations[0]) as server:
        flow, transactions = server.flow(), server.core._transactions
        flow.carried_by(server.server(FE3), "<sip:x@fe3.example.test;lr>")
        transactions.forward(transactions.begin(received(flow, request("MESSAGE"))), respond(request("MESSAGE"), 430))
        assert statuses(flow) == [480]
