"""Where a user is: here, at home, or nowhere."""

from __future__ import annotations

from sipmesh.sip.transaction.ack import ack_for
from support.network import FE1, FE3, Network
from support.running import on_loop, until


@on_loop
async def test_call_to_an_unknown_user_is_refused_and_its_ack_is_not_forwarded(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        invite = alice.request("INVITE", "sip:nobody@example.test")
        answer = await alice.ask(invite)
        assert answer.status == 404
        [flow] = home.nodes[FE1].flow_table.sessions()
        assert (len(flow.refused), len(flow.served)) == (1, 0)
        await alice.send(ack_for(invite, answer))
        await until(lambda: not flow.refused)


@on_loop
async def test_user_without_a_phone_is_there_and_not_registered(home: Network) -> None:
    """RFC 3261 21.4.18: 480, and not the 404 of a user who does not exist."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert (await bob.register([("expires", "0")])).status == 200
        assert (await alice.ask(alice.request("INVITE", "sip:bob@example.test"))).status == 480
        assert (await alice.ask(alice.request("INVITE", "sip:nobody@example.test"))).status == 404


@on_loop
async def test_user_of_another_pool_is_reached_at_home(two_pools: Network) -> None:
    async with two_pools:
        alice, bob = await two_pools.phone("alice", FE1), await two_pools.phone("bob", FE3)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
