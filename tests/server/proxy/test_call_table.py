"""Calls that are up, as far as a server has seen."""

from __future__ import annotations

from routing.messages import request
from sipmesh.server.proxy.call_table import CallTable
from support.network import FE1, Network
from support.running import on_loop, until
from support.talking import inside_of, talking


@on_loop
async def test_call_is_up_from_its_2xx_to_its_bye(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        calls = home.nodes[FE1].relay.calls
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        [call] = calls.up()
        assert (call.caller, call.callee, call.acknowledged) == ("sip:alice@example.test", "sip:bob@example.test", True)
        assert not calls.unacknowledged(0.0)
        await alice.send(inside_of(dialog, alice, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)
        await until(lambda: not calls)


@on_loop
async def test_call_that_is_refused_was_never_up(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("INVITE"), 486)
        assert (await alice.final()).status == 486
        assert not home.nodes[FE1].relay.calls


@on_loop
async def test_table_holds_the_newest_calls_up_to_its_bound(home: Network) -> None:
    async with home:
        await home.phone("alice", FE1)
        await home.phone("bob", FE1)
        a, b = home.nodes[FE1].flow_table.sessions()
        table = CallTable(2)
        for second, name in enumerate(("c1", "c2", "c2", "c3")):
            invite = request("INVITE")
            invite.replace("call-id", name)
            table.began(invite, a, b, float(second))
        assert [call.since for call in table.up()] == [1.0, 3.0]
        assert table.unacknowledged(2.0) == {a.number, b.number}
        table.acknowledged("c3")
        assert table.unacknowledged(2.0) == set()
        table.ended("c2")
        table.ended("unknown")
        assert len(table) == 1
