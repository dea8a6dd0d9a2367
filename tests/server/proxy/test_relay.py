"""The deadlines of RFC 3261 for requests without an end: over real links, with a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sipmesh.routing.registrar.registrar import RegistrarLimits
from sipmesh.server.proxy.flow import SentBranch
from sipmesh.server.proxy.relay import FORGOTTEN_AT_ONCE
from sipmesh.server.proxy.timeout_queue import TimeoutQueue
from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.transaction.timers import Timer
from support.bindings import bound
from support.memory_locations import Gate, MemoryLocations, MemoryStore
from support.network import FE1, FE2, Network
from support.peer import Peer
from support.running import on_jumping_loop, until
from support.talking import talking
from support.ticking import SLACK_S, is_idle, ticking

FINAL_S, RINGING_S = Timer.B.seconds, Timer.C.seconds


@on_jumping_loop
async def test_provisional_responses_are_forwarded_only_for_invite(home: Network) -> None:
    """RFC 4320 4.1."""
    async with ticking(home) as (_, alice, bob):
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        came = await bob.request_in("MESSAGE")
        await bob.reply(came, 183)
        await bob.reply(came, 200)
        answered = await alice.receive()
        assert getattr(answered, "status", 0) == 200


@on_jumping_loop
async def test_closed_link_ends_its_requests(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        for method in ("INVITE", "MESSAGE"):
            await alice.send(alice.request(method, "sip:bob@example.test"))
            await bob.request_in(method)
        await alice.__aexit__()
        await asyncio.sleep(FINAL_S + SLACK_S)
        assert is_idle(node)
        assert len(node.flow_table.sessions()) == 1


@on_jumping_loop
@pytest.mark.wide
async def test_registration_without_a_refresh_expires(home: Network) -> None:
    """It expires by the loop's time, which cannot be set; the default is ten minutes."""
    async with ticking(home) as (node, alice, _):
        granted_s = RegistrarLimits().default_expires_s
        await asyncio.sleep(granted_s - SLACK_S)
        assert len(await bound(node, "sip:bob@example.test")) == 1
        await asyncio.sleep(2 * SLACK_S)
        assert (await alice.ask(alice.request("INVITE", "sip:bob@example.test"))).status == 480


# Many transactions that are over


@asynccontextmanager
async def many_calls(home: Network) -> AsyncIterator[tuple[RunningServer, TimeoutQueue[SentBranch], Peer]]:
    """A front end with more answered calls than it forgets at once, their branches, and the phone of the callee."""
    async with home:
        node = home.nodes[FE1]
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        for _ in range(FORGOTTEN_AT_ONCE + 20):
            await alice.send(alice.request("INVITE", "sip:bob@example.test"))
            await bob.reply(await bob.request_in("INVITE"), 200)
            assert (await alice.final()).status == 200
        yield node, node.relay.client_transactions.lingering, bob


@on_jumping_loop
async def test_transactions_that_are_over_are_forgotten_a_part_in_each_turn_of_the_loop(home: Network) -> None:
    async with many_calls(home) as (node, lingering, _):
        count = len(lingering)
        assert count >= FORGOTTEN_AT_ONCE + 20
        await asyncio.sleep(FINAL_S + SLACK_S)
        node.sweep.tick()
        assert len(lingering) == count - FORGOTTEN_AT_ONCE
        await until(lambda: is_idle(node))


@on_jumping_loop
async def test_transactions_of_a_closed_link_are_forgotten_a_part_in_each_turn_of_the_loop(home: Network) -> None:
    async with many_calls(home) as (node, lingering, bob):
        count = len(lingering)
        await bob.__aexit__()
        await until(lambda: len(node.flow_table.sessions()) == 1)
        assert len(lingering) == count - FORGOTTEN_AT_ONCE
        node.sweep.tick()
        assert len(lingering) == 0


# The end of this server, and servers that do not answer


@on_jumping_loop
async def test_request_that_is_given_up_gets_503_and_nothing_waits_for_it_any_more(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("INVITE"), 180)
        flows = node.flow_table.sessions()
        await until(lambda: all(node.under_way.waits_on(flow) for flow in flows))
        assert node.relay.give_up("5") == 1
        assert (await alice.final()).status == 503
        assert not any(node.under_way.waits_on(flow) for flow in flows)
        await bob.reply(await bob.request_in("CANCEL"), 200)
        assert node.relay.give_up("5") == 0


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE", "REGISTER"])
@on_jumping_loop
async def test_request_that_waits_for_the_store_gets_503_too_when_it_is_given_up(pool: Network, method: str) -> None:
    """The server ends before the store has answered; what the store answers then goes to no client."""
    gate, store = Gate(), MemoryStore()
    pool.stores = {FE1: MemoryLocations(store, gate), FE2: MemoryLocations(store)}
    async with pool:
        node = pool.nodes[FE1]
        alice = await pool.phone("alice", FE1)
        await pool.phone("bob", FE2)
        alice.contact = "<sip:alice@192.0.2.7;transport=tls>"
        gate.is_shut = True
        to = "sip:alice@example.test" if method == "REGISTER" else "sip:bob@example.test"
        await alice.send(alice.request(method, "sip:example.test" if method == "REGISTER" else to, to=f"<{to}>"))
        await until(lambda: gate.kept)
        assert node.relay.give_up("5") == 1
        refused = await alice.final()
        assert (refused.status, refused.first("retry-after")) == (503, "5")
        gate.open()
        await alice.silent()


@on_jumping_loop
async def test_call_that_is_up_waits_for_nothing(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        await talking(alice, bob)
        await bob.request_in("ACK")
        assert not any(node.under_way.waits_on(flow) for flow in node.flow_table.sessions())
        assert node.relay.give_up("5") == 0
