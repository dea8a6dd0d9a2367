"""The timers of sent branches, of RFC 3261: over real links, with a clock that jumps."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.sip.transaction.ack import ack_for
from sipmesh.sip.transaction.timers import Timer
from support.network import Network
from support.running import on_jumping_loop
from support.ticking import SLACK_S, is_idle, ticking

FINAL_S, RINGING_S = Timer.B.seconds, Timer.C.seconds


@on_jumping_loop
@pytest.mark.wide
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
        assert node.relay.client_transactions.unanswered == 1
        assert node.relay.client_transactions.waits.total == node.relay.client_transactions.invite_waits.total == 0


@on_jumping_loop
@pytest.mark.wide
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
@pytest.mark.wide
async def test_phone_that_ignores_its_cancel_times_out_after_half_a_minute(home: Network) -> None:
    async with ticking(home) as (node, alice, bob):
        began = node.loop.time()
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("INVITE"), 180)
        assert (await alice.final()).status == 408
        assert node.loop.time() - began >= RINGING_S + FINAL_S


@pytest.mark.wide
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


@pytest.mark.parametrize("status", [100, 180])
@on_jumping_loop
@pytest.mark.wide
async def test_repeated_100_or_180_of_a_phone_does_not_restart_timer_c(home: Network, status: int) -> None:
    """RFC 3261 16.7 item 2: "status codes 101 to 199 inclusive (but not 100)". The CANCEL says why (RFC 3326).

    A phone that repeats its 180 would ring for ever.
    """
    async with ticking(home) as (node, alice, bob):
        began = node.loop.time()
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        came = await bob.request_in("INVITE")
        await bob.reply(came, 180)
        await asyncio.sleep(RINGING_S - 10)
        await bob.reply(came, status)
        cancel = await bob.request_in("CANCEL")
        assert cancel.values("reason") == ['SIP;cause=408;text="Request Timeout"']
        assert node.loop.time() - began <= RINGING_S + SLACK_S


@on_jumping_loop
@pytest.mark.wide
async def test_2xx_that_crosses_the_end_of_timer_c_is_forwarded(home: Network) -> None:
    async with ticking(home) as (_, alice, bob):
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        came = await bob.request_in("INVITE")
        await bob.reply(came, 180)
        await bob.request_in("CANCEL")
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200


@on_jumping_loop
@pytest.mark.wide
async def test_unanswered_message_gets_no_408_and_leaves_no_state(home: Network) -> None:
    """RFC 4320 4.2: the sender has timed out too."""
    async with ticking(home) as (node, alice, bob):
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.request_in("MESSAGE")
        await asyncio.sleep(FINAL_S + SLACK_S)
        await alice.silent()
        assert is_idle(node)
