"""The deadlines of RFC 3261 for requests without an end: over real links, with a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sipmesh.routing.registrar.registrar import RegistrarLimits
from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.transaction.ack import ack_for, cancel_for
from sipmesh.sip.transaction.timers import Timer
from support.bindings import bound
from support.memory_locations import Gate, MemoryLocations, MemoryStore
from support.network import FE1, FE2, Network
from support.peer import Peer
from support.running import on_jumping_loop, until
from support.talking import inside_of, talking

FINAL_S, RINGING_S = Timer.B.seconds, Timer.C.seconds
SLACK_S = 2.5  # the deadlines are swept once a second here


@asynccontextmanager
async def ticking(home: Network) -> AsyncIterator[tuple[RunningServer, Peer, Peer]]:
    """One front end whose deadlines are swept, with two phones."""
    async with home:
        node = home.nodes[FE1]
        sweeping = asyncio.create_task(sweep(node))
        try:
            yield node, await home.phone("alice", FE1), await home.phone("bob", FE1)
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)


async def sweep(node: RunningServer) -> None:
    while True:
        await asyncio.sleep(1)
        node.dispatch.tick()


def is_idle(node: RunningServer) -> bool:
    """Return whether no request is left."""
    return not node.dispatch._relay.load and not any(one.served or one.sent for one in node.flow_table.sessions())


@on_jumping_loop
async def test_call_without_any_response_gets_408_at_timer_b(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        began = node.loop.time()
        invite = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(invite)
        await bob.request_in("INVITE")
        timed_out = await alice.final()
        assert timed_out.status == 408
        assert FINAL_S <= node.loop.time() - began <= FINAL_S + SLACK_S
        await alice.send(ack_for(invite, timed_out))
        await alice.silent()
        assert is_idle(node)
        assert node.relay.unanswered == 1
        assert node.relay.waits.total == node.relay.invite_waits.total == 0


@on_jumping_loop
async def test_phone_that_rings_until_timer_c_is_cancelled_and_the_caller_gets_408(home: Network) -> None:
    """RFC 3261 16.8; the phone's 487 ends its branch, and is not forwarded: the caller sent no CANCEL."""
    async with ticking(home) as (node, alice, bob):
        began = node.loop.time()
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        came = await bob.request_in("INVITE")
        await bob.reply(came, 180)
        await bob.request_in("CANCEL")
        assert RINGING_S <= node.loop.time() - began <= RINGING_S + SLACK_S
        await bob.reply(came, 487)
        assert (await alice.final()).status == 408


@on_jumping_loop
async def test_phone_that_ignores_its_cancel_times_out_after_half_a_minute(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        began = node.loop.time()
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("INVITE"), 180)
        assert (await alice.final()).status == 408
        assert node.loop.time() - began >= RINGING_S + FINAL_S


@on_jumping_loop
async def test_each_provisional_response_restarts_timer_c(home: Network) -> None:
    """RFC 3261 16.7 step 2: an announcement may last longer than three minutes."""
    async with ticking(home) as (_, alice, bob):
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        came = await bob.request_in("INVITE")
        for _ in range(4):
            await bob.reply(came, 183)
            await asyncio.sleep(RINGING_S - 10)
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200


@on_jumping_loop
async def test_repeated_100_does_not_restart_timer_c(home: Network) -> None:
    """RFC 3261 16.7 item 2: "status codes 101 to 199 inclusive (but not 100)". The CANCEL says why (RFC 3326)."""
    async with ticking(home) as (node, alice, bob):
        began = node.loop.time()
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        came = await bob.request_in("INVITE")
        await bob.reply(came, 180)
        await asyncio.sleep(RINGING_S - 10)
        await bob.reply(came, 100)
        cancel = await bob.request_in("CANCEL")
        assert cancel.values("reason") == ['SIP;cause=408;text="Request Timeout"']
        assert node.loop.time() - began <= RINGING_S + SLACK_S


@on_jumping_loop
async def test_2xx_that_crosses_the_end_of_timer_c_is_forwarded(home: Network) -> None:
    async with ticking(home) as (_, alice, bob):
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        came = await bob.request_in("INVITE")
        await bob.reply(came, 180)
        await bob.request_in("CANCEL")
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200


@on_jumping_loop
async def test_unanswered_message_gets_no_408_and_leaves_no_state(home: Network) -> None:
    """RFC 4320 4.2: the sender has timed out as well."""
    async with ticking(home) as (node, alice, bob):
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.request_in("MESSAGE")
        await asyncio.sleep(FINAL_S + SLACK_S)
        await alice.silent()
        assert is_idle(node)


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
async def test_cancelled_call_ends_with_487_even_if_the_phone_is_silent(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        invite = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(invite)
        await bob.reply(await bob.request_in("INVITE"), 180)
        began = node.loop.time()
        await alice.send(cancel_for(invite))
        assert (await alice.final(method="INVITE")).status == 487
        assert FINAL_S <= node.loop.time() - began <= FINAL_S + SLACK_S


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
async def test_registration_without_a_refresh_expires(home: Network) -> None:
    """It expires by the loop's time, which nobody can set; the default is ten minutes."""
    async with ticking(home) as (node, alice, _):
        granted_s = RegistrarLimits().default_expires_s
        await asyncio.sleep(granted_s - SLACK_S)
        assert len(await bound(node, "sip:bob@example.test")) == 1
        await asyncio.sleep(2 * SLACK_S)
        assert (await alice.ask(alice.request("INVITE", "sip:bob@example.test"))).status == 480


# The end of this server, and servers that do not answer


@on_jumping_loop
async def test_request_that_is_given_up_gets_503_and_nothing_waits_for_it_any_more(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("INVITE"), 180)
        flows = node.flow_table.sessions()
        await until(lambda: all(node.relay.waits_on(flow) for flow in flows))
        assert node.relay.give_up("5") == 1
        assert (await alice.final()).status == 503
        assert not any(node.relay.waits_on(flow) for flow in flows)
        await bob.reply(await bob.request_in("CANCEL"), 200)
        assert node.relay.give_up("5") == 0


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE", "REGISTER"])
@on_jumping_loop
async def test_request_that_waits_for_the_store_gets_503_too_when_it_is_given_up(pool: Network, method: str) -> None:
    """The server ends before the store has answered; what the store answers then goes to nobody."""
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
        assert not any(node.relay.waits_on(flow) for flow in node.flow_table.sessions())
        assert node.relay.give_up("5") == 0


@on_jumping_loop
async def test_nothing_goes_to_a_server_that_does_not_answer(pool: Network) -> None:
    """Neither a request nor the ACK of a 2xx, which nobody could answer; before and after, both do."""
    async with pool:
        node, alice, bob = pool.nodes[FE1], await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        node.outages.open_by(node.pool.obtain)  # no trial: the link is there
        node.outages.silent(FE2, "test")
        await alice.send(inside_of(dialog, alice, "ACK"))
        assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 480
        await bob.silent()
        node.outages.answered(FE2)
        await alice.send(inside_of(dialog, alice, "ACK"), alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.request_in("ACK")
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
