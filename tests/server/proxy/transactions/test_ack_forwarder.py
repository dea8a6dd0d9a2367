"""The ACK of a 2xx goes where its INVITE has gone, by a server that answers."""

from __future__ import annotations

from support.network import FE1, FE2, Network
from support.running import on_jumping_loop, on_loop
from support.talking import inside_of, talking
from support.trials import try_by


@on_loop
async def test_ack_arrives_and_its_call_is_acknowledged(home: Network) -> None:
    async with home:
        node, alice, bob = home.nodes[FE1], await home.phone("alice", FE1), await home.phone("bob", FE1)
        _, _, dialog = await talking(alice, bob)
        assert (await bob.request_in("ACK")).call_id == dialog.call_id
        assert [call.acknowledged for call in node.relay.calls.table.up()] == [True]


@on_loop
async def test_ack_to_a_phone_that_has_gone_is_dropped(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        await bob.__aexit__()
        await alice.send(inside_of(dialog, alice, "ACK"))
        await alice.silent()


@on_jumping_loop
async def test_nothing_goes_to_a_server_that_does_not_answer(pool: Network) -> None:
    """Neither a request nor the ACK of a 2xx, which could not be answered; before and after, both do."""
    async with pool:
        node, alice, bob = pool.nodes[FE1], await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        try_by(node, node.pool.obtain)  # no trial: the link is there
        node.outages.silent(FE2, "test")
        await alice.send(inside_of(dialog, alice, "ACK"))
        assert (await alice.ask(alice.request("OPTIONS", "sip:bob@example.test"))).status == 480
        await bob.silent()
        node.outages.answered(FE2)
        await alice.send(inside_of(dialog, alice, "ACK"), alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.request_in("ACK")
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
