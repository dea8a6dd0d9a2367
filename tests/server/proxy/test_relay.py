"""What the deadlines of RFC 3261 do to requests that nobody ends: over real links, in a time that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sipmesh.routing.registrar.registrar import RegistrarLimits
from sipmesh.server.running_server import RunningServer
from sipmesh.sip.transaction.ack import ack_for, cancel_for
from sipmesh.sip.transaction.timers import Timer
from support.bindings import bound
from support.network import FE1, Network
from support.peer import Peer
from support.running import on_jumping_loop

FINAL_S, RINGING_S = Timer.B.seconds, Timer.C.seconds
SLACK_S = 2.5  # the deadlines are swept once a second here


@asynccontextmanager
async def ticking(home: Network) -> AsyncIterator[tuple[RunningServer, Peer, Peer]]:
    """One front end whose deadlines are swept, with two phones at it."""
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
    """Tell whether nothing is left of any request."""
    return not node.dispatch._relay.load and not any(one.served or one.sent for one in node.flow_table.sessions())


@on_jumping_loop
async def test_call_that_nobody_answers_at_all_gets_408_when_timer_b_ends(home: Network) -> None:
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
async def test_phone_that_rings_for_ever_is_cancelled_when_timer_c_ends_and_the_caller_gets_408(home: Network) -> None:
    """RFC 3261 section 16.8; the phone's 487 ends it, and is no answer for a caller who took nothing back."""
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
async def test_phone_that_ignores_its_cancel_is_given_up_half_a_minute_later(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        began = node.loop.time()
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("INVITE"), 180)
        assert (await alice.final()).status == 408
        assert node.loop.time() - began >= RINGING_S + FINAL_S


@on_jumping_loop
async def test_each_sign_of_ringing_begins_timer_c_anew(home: Network) -> None:
    """RFC 3261 section 16.7 step 2: an announcement may last longer than three minutes."""
    async with ticking(home) as (_, alice, bob):
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        came = await bob.request_in("INVITE")
        for _ in range(4):
            await bob.reply(came, 183)
            await asyncio.sleep(RINGING_S - 10)
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200


@on_jumping_loop
async def test_answer_that_crosses_the_end_of_timer_c_still_counts(home: Network) -> None:
    async with ticking(home) as (_, alice, bob):
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        came = await bob.request_in("INVITE")
        await bob.reply(came, 180)
        await bob.request_in("CANCEL")
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200


@on_jumping_loop
async def test_message_that_nobody_answers_gets_no_408_and_leaves_nothing_behind(home: Network) -> None:
    """RFC 4320 section 4.2: its sender has given up by itself."""
    async with ticking(home) as (node, alice, bob):
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.request_in("MESSAGE")
        await asyncio.sleep(FINAL_S + SLACK_S)
        await alice.silent()
        assert is_idle(node)


@on_jumping_loop
async def test_provisional_answers_to_anything_but_invite_stay_here(home: Network) -> None:
    """RFC 4320 section 4.1."""
    async with ticking(home) as (_, alice, bob):
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        came = await bob.request_in("MESSAGE")
        await bob.reply(came, 183)
        await bob.reply(came, 200)
        answered = await alice.receive()
        assert getattr(answered, "status", 0) == 200


@on_jumping_loop
async def test_call_that_was_accepted_is_forgotten_after_half_a_minute_with_or_without_ack(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("INVITE"), 200)
        assert (await alice.final()).status == 200
        assert not is_idle(node)
        await asyncio.sleep(FINAL_S + SLACK_S)
        assert is_idle(node)


@on_jumping_loop
async def test_call_that_was_refused_is_forgotten_at_once_but_for_its_ack(home: Network) -> None:
    """Its ACK ends here, and does not go on to the callee as that of a 2xx does."""
    async with ticking(home) as (node, alice, bob):
        invite = alice.request("INVITE", "sip:bob@example.test", body=b"x" * 1_000)
        await alice.send(invite)
        await bob.reply(await bob.request_in("INVITE"), 486)
        refused = await alice.final()
        assert refused.status == 486
        assert is_idle(node)
        await bob.request_in("ACK")  # ours, for its 486
        await alice.send(ack_for(invite, refused))
        await alice.silent()
        await bob.silent()


@on_jumping_loop
async def test_call_that_was_taken_back_ends_with_487_even_if_the_phone_says_nothing(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        invite = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(invite)
        await bob.reply(await bob.request_in("INVITE"), 180)
        began = node.loop.time()
        await alice.send(cancel_for(invite))
        assert (await alice.final(method="INVITE")).status == 487
        assert FINAL_S <= node.loop.time() - began <= FINAL_S + SLACK_S


@on_jumping_loop
async def test_link_that_closes_takes_its_requests_with_it(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        for method in ("INVITE", "MESSAGE"):
            await alice.send(alice.request(method, "sip:bob@example.test"))
            await bob.request_in(method)
        await alice.__aexit__()
        await asyncio.sleep(FINAL_S + SLACK_S)
        assert is_idle(node)
        assert len(node.flow_table.sessions()) == 1


@on_jumping_loop
async def test_registration_that_is_not_renewed_runs_out(home: Network) -> None:
    """By the loop's time, which nobody can set: ten minutes are granted to who asks for nothing."""
    async with ticking(home) as (node, alice, _):
        granted_s = RegistrarLimits().default_expires_s
        await asyncio.sleep(granted_s - SLACK_S)
        assert len(await bound(node, "sip:bob@example.test")) == 1
        await asyncio.sleep(2 * SLACK_S)
        assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 480
