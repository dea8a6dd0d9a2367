"""No sender closes the link of a peer that reads: what finds no room is refused to its sender."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.transaction.ack import ack_for
from sipmesh.transport.link.deadlines import DOES_NOT_READ
from sipmesh.transport.link.link import Link
from support.network import FE1, FE2, UNHURRIED, Network
from support.peer import Peer
from support.running import on_loop, until

MESSAGE, BOB = "MESSAGE", "sip:bob@example.test"
SMALL = replace(UNHURRIED, queue_client_bytes=100_000)
"""A client's queue that is smaller than the largest body of a client."""


@on_loop
async def test_message_that_no_queue_of_a_client_holds_is_413_and_a_smaller_one_arrives(home: Network) -> None:
    home.limits = SMALL
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert (await alice.ask(alice.request(MESSAGE, BOB, body=b"x" * 100_000))).status == 413
        await bob.silent()
        await alice.send(alice.request(MESSAGE, BOB, body=b"x" * 98_000))
        came = await bob.request_in(MESSAGE)
        await bob.reply(came, 200)
        assert (len(came.body), (await alice.final()).status) == (98_000, 200)


@on_loop
async def test_large_body_of_another_server_is_413_and_the_phone_stays_registered(pool: Network) -> None:
    """A server may forward five megabytes, and a phone's queue holds one; the binding at this front end stays."""
    async with pool:
        bob = await pool.phone("bob", FE1)
        other = await pool.peer(FE1, "alice@example.test", credentials=FE2)
        headers = [("p-asserted-identity", "<sip:alice@example.test>")]
        assert (await other.ask(other.request(MESSAGE, BOB, headers, b"x" * 1_100_000))).status == 413
        await bob.silent()
        await other.send(other.request(MESSAGE, BOB, headers, b"x" * 100_000))
        await bob.reply(await bob.request_in(MESSAGE), 200)
        assert (await other.final()).status == 200


@on_loop
async def test_burst_of_large_messages_is_delivered_or_refused_and_the_receiver_stays(home: Network) -> None:
    """Sixty messages of 130 KB, of which the receiver reads the first one when all are sent."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(*(alice.request(MESSAGE, BOB, body=b"x" * 130_000) for _ in range(60)))
        await until(lambda: link_of(home.nodes[FE1], "alice").messages_in >= 62)
        probe = bob.request("OPTIONS", "sip:example.test")
        await bob.send(probe)
        while not isinstance(came := await bob.receive(), Response) or came.call_id != probe.call_id:
            if isinstance(came, Request):
                await bob.reply(came, 200)
        statuses = [(await alice.final()).status for _ in range(60)]
        assert set(statuses) <= {200, 480}
        assert 200 in statuses
        await bob.silent()


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_full_queue_refuses_requests_with_480_and_keeps_the_link_and_its_binding(
    pool: Network, server: str
) -> None:
    """Bob does not read for a moment, at the front end of the sender or at its mate; then he reads, and is reached again.

    A 430 from the mate would say that his flow is gone, and the binding would be forgotten.
    """
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", server)
        node, sent, refused = pool.nodes[server], 0, list[int]()
        link = link_of(node, "bob")
        while not refused:
            sent, refused = sent + 8, await flooded(alice)
        assert link.pending_out <= node.limits.queue_client_bytes
        assert link in node.pool.all()
        answering = asyncio.create_task(answers(bob))
        statuses = refused + [(await alice.final()).status for _ in range(sent - len(refused))]
        assert set(statuses) == {200, 480}
        assert (await alice.ask(alice.request(MESSAGE, BOB))).status == 200
        answering.cancel()


@on_loop
async def test_response_that_no_queue_of_a_client_holds_becomes_a_short_one_and_the_caller_stays(
    home: Network,
) -> None:
    home.limits = SMALL
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        for size, status in ((100_000, 513), (98_000, 200)):
            await alice.send(alice.request(MESSAGE, BOB))
            await bob.send(answered(bob, await bob.request_in(MESSAGE), 200, size))
            final = await alice.final()
            assert (final.status, len(final.body)) == (status, 0 if status == 513 else size)
        await alice.silent()


@on_loop
async def test_provisional_without_room_is_dropped_and_the_final_response_arrives(home: Network) -> None:
    """The caller is rung for with bodies that its queue never holds; it gets a response that fits, and the answer."""
    home.limits = SMALL
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("INVITE", BOB))
        invite = await bob.request_in("INVITE")
        await bob.send(answered(bob, invite, 183, 120_000), answered(bob, invite, 183, 50), answered(bob, invite, 200))
        heard = [await alice.receive() for _ in range(3)]
        assert [(one.status, len(one.body)) for one in heard if isinstance(one, Response)] == [
            (100, 0),
            (183, 50),
            (200, 0),
        ]


@on_loop
async def test_call_whose_answer_finds_no_room_ends_with_a_refusal(home: Network) -> None:
    """A 200 that is not handed on: its copies are not either, and the next call works."""
    home.limits = SMALL
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        invite = alice.request("INVITE", BOB)
        await alice.send(invite)
        came = await bob.request_in("INVITE")
        large = answered(bob, came, 200, 120_000)
        await bob.send(large)
        refused = await alice.final()
        assert refused.status == 513
        await alice.send(ack_for(invite, refused))
        await bob.send(large)
        await bob.silent()
        await alice.silent()
        await alice.send(alice.request("INVITE", BOB))
        await bob.send(answered(bob, await bob.request_in("INVITE"), 200))
        assert (await alice.final()).status == 200


@on_loop
async def test_ack_without_room_is_dropped_and_a_short_one_arrives(home: Network) -> None:
    home.limits = SMALL
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("INVITE", BOB))
        await bob.reply(await bob.request_in("INVITE"), 200)
        final = await alice.final()
        routes = [("route", value) for value in reversed(final.values("record-route"))]
        same = {"to": final.first("to"), "call_id": final.call_id, "cseq": final.cseq.number}
        target = bob.contact.strip("<>")
        for size in (120_000, 10):
            await alice.send(alice.request("ACK", target, routes, b"x" * size, **same))  # type: ignore[arg-type]
        assert len((await bob.request_in("ACK")).body) == 10
        await bob.silent()


@on_loop
async def test_peer_that_takes_no_octet_is_closed_after_its_time(home: Network) -> None:
    """The control of a peer that reads late: it is closed for not reading, and not by a sender.

    The flood goes on until then: a send buffer of the kernel may grow after the first refusal, and take all that waits.
    """
    home.limits = replace(UNHURRIED, stall_s=0.2)
    async with home:
        alice = await home.phone("alice", FE1)
        await home.phone("bob", FE1)
        link = link_of(home.nodes[FE1], "bob")
        while link in home.nodes[FE1].pool.all():
            await flooded(alice)
        assert link.why == DOES_NOT_READ


def link_of(node: RunningServer, user: str) -> Link:
    """The link that *user* has logged in on."""
    [link] = [one.link for one in node.flow_table.sessions() if f"sip:{user}@example.test" in one.users]
    return link


def answered(peer: Peer, request: Request, status: int, size: int = 0) -> Response:
    """An answer with a body of *size* octets, as a phone makes it."""
    routes = [("record-route", value) for value in request.values("record-route")]
    headers = [*routes, ("contact", peer.contact)]
    return respond(request, status, headers=headers, to_tag=peer.tag, body=b"x" * size)


async def answers(peer: Peer) -> None:
    """Accept every message."""
    while True:
        await peer.reply(await peer.request_in(MESSAGE), 200)


async def flooded(sender: Peer) -> list[int]:
    """Send eight large messages to bob; give the statuses of those that are refused at once."""
    await sender.send(*(sender.request(MESSAGE, BOB, body=b"x" * 100_000) for _ in range(8)))
    await sender.send(probe := sender.request("OPTIONS", "sip:example.test"))
    statuses = []
    while (came := await sender.final()).call_id != probe.call_id:
        statuses.append(came.status)
    return statuses
