"""Requests of our own: sent to a phone here or at another server, and ended by an answer, a lost link or a timer."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.routing.registrar.binding import Binding
from sipmesh.server.proxy.events.own_requests import NO_ANSWER
from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.framing import MAX_HEADER
from sipmesh.sip.message import Request, build_request, respond
from sipmesh.sip.status import Status
from sipmesh.sip.transaction.timers import Timer
from support.bindings import bound
from support.network import FE1, FE2, Network
from support.running import on_jumping_loop, on_loop, until

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"


def asked(uri: str, *headers: tuple[str, str]) -> Request:
    fixed = [("max-forwards", "70"), ("from", f"<{ALICE}>;tag=1"), ("to", f"<{BOB}>")]
    return build_request("MESSAGE", uri, [*fixed, ("call-id", "own-1"), ("cseq", "1 MESSAGE"), *headers], b"hi")


def send(node: RunningServer, row: Binding, *headers: tuple[str, str]) -> list[int]:
    """Send a request of our own; gives the list that gets its status."""
    statuses: list[int] = []
    node.events.own_requests.send_to(row, asked(row.contact, *headers), ALICE, statuses.append)
    return statuses


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_request_reaches_a_phone_here_or_at_another_server_with_the_identity(pool: Network, server: str) -> None:
    async with pool:
        bob, node = await pool.phone("bob", server), pool.nodes[FE1]
        [row] = await bound(node, BOB)
        statuses = send(node, row)
        came = await bob.request_in("MESSAGE")
        assert (came.values("p-asserted-identity"), came.body, came.count("route")) == ([f"<{ALICE}>"], b"hi", 0)
        await bob.reply(came, 200)
        await until(lambda: statuses)
        assert statuses == [200]
        assert len(node.events.own_requests) == 0


@on_loop
async def test_identity_is_withheld_from_a_phone_if_the_sender_asks_for_it(home: Network) -> None:
    async with home:
        bob, node = await home.phone("bob", FE1), home.nodes[FE1]
        [row] = await bound(node, BOB)
        send(node, row, ("privacy", "id"))
        assert (await bob.request_in("MESSAGE")).count("p-asserted-identity") == 0


@on_loop
async def test_answer_counts_on_the_link_of_the_request_only(home: Network) -> None:
    """Another user who knows the branch cannot answer for the phone."""
    async with home:
        bob, carol, node = await home.phone("bob", FE1), await home.phone("carol", FE1), home.nodes[FE1]
        [row] = await bound(node, BOB)
        statuses = send(node, row)
        came = await bob.request_in("MESSAGE")
        await carol.send(respond(came, 486, to_tag="9"))
        await carol.silent()
        assert statuses == []
        await bob.send(respond(came, 100))
        await bob.reply(came, 202)
        await until(lambda: statuses)
        assert statuses == [202]


@on_loop
async def test_lost_link_ends_the_request(home: Network) -> None:
    async with home:
        bob, node = await home.phone("bob", FE1), home.nodes[FE1]
        [row] = await bound(node, BOB)
        statuses = send(node, row)
        await bob.request_in("MESSAGE")
        await bob.__aexit__()
        await until(lambda: statuses)
        assert statuses == [NO_ANSWER]
        assert send(node, row) == [NO_ANSWER], "the flow is gone"


@on_loop
async def test_request_with_too_long_a_header_is_not_sent(home: Network) -> None:
    async with home:
        bob, node = await home.phone("bob", FE1), home.nodes[FE1]
        [row] = await bound(node, BOB)
        assert send(node, row, ("subject", "x" * MAX_HEADER)) == [Status.MESSAGE_TOO_LARGE]
        await bob.silent()


@on_jumping_loop
async def test_request_without_an_answer_ends_after_timer_f(home: Network) -> None:
    async with home:
        bob, node = await home.phone("bob", FE1), home.nodes[FE1]
        [row] = await bound(node, BOB)
        statuses = send(node, row)
        await bob.request_in("MESSAGE")
        await asyncio.sleep(Timer.F.seconds - 0.1)
        node.sweep.tick()
        assert statuses == []
        await asyncio.sleep(0.2)
        node.sweep.tick()
        assert statuses == [Status.REQUEST_TIMEOUT]
