"""A call whose media were refused ends for both sides."""

from __future__ import annotations

import pytest

from scenarios.test_media import BOB, answered, refused_for, released
from sipmesh.client.dialog import Dialog
from sipmesh.routing.outcome import Forward
from sipmesh.routing.proxy.release import LAST_CSEQ
from support.descriptions import CLEAR, SDES, with_body
from support.network import FE1, FE2, Network
from support.running import on_loop, until
from support.talking import inside_of


@on_loop
async def test_answer_in_the_clear_ends_the_call_for_both(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        for body in (CLEAR, SDES):
            await alice.send(with_body(alice.request("INVITE", BOB), SDES))
            came = await bob.request_in("INVITE")
            await answered(bob, came, 200, body)
            response = await alice.final(method="INVITE")
            if body == SDES:
                assert (response.status, response.body) == (200, SDES)
                await bob.silent()
            else:
                refused_for(response)
                await released(bob)


@on_loop
async def test_callee_with_a_record_route_that_is_no_sip_uri_keeps_no_caller_waiting(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        await alice.send(with_body(alice.request("INVITE", BOB), SDES))
        came = await bob.request_in("INVITE")
        came.prepend("record-route", "<tel:1>")
        await answered(bob, came, 200, CLEAR)
        refused_for(await alice.final())
        await released(bob)


@pytest.mark.parametrize("body", [CLEAR, SDES])
@on_loop
async def test_answer_in_the_clear_in_an_ack_ends_the_call_for_both(pool: Network, body: bytes) -> None:
    """An ACK has no response: both sides get a BYE."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        invite = alice.request("INVITE", BOB)
        await alice.send(invite)
        await answered(bob, await bob.request_in("INVITE"), 200, SDES)
        dialog = Dialog.of_caller(invite, await alice.final())
        await alice.send(with_body(inside_of(dialog, alice, "ACK"), body))
        if body == SDES:
            assert (await bob.request_in("ACK")).body == SDES
            await bob.silent()
            return
        await released(bob)
        bye = await alice.request_in("BYE")
        assert (bye.from_.tag, bye.to.tag, bye.cseq.number) == (bob.tag, alice.tag, LAST_CSEQ)
        await alice.reply(bye, 200)
        await alice.silent()


@on_loop
async def test_ack_of_an_unknown_call_releases_no_phone(home: Network) -> None:
    """Its INVITE was never seen, or is too old to be searched."""
    async with home:
        node, alice = home.nodes[FE1], await home.phone("alice", FE1)
        await until(lambda: [flow for flow in node.flow_table.sessions() if flow.users])
        [flow] = node.flow_table.sessions()
        node.release.end_call(flow, alice.request("ACK", BOB), Forward((), None), "unknown")
        await alice.silent()
