"""Calls that are up, as far as a server has seen."""

from __future__ import annotations

from dataclasses import replace

from routing.messages import request
from sipmesh.client.dialog import Dialog
from sipmesh.server.proxy.call_table import LONGEST_NAME, CallTable
from sipmesh.server.proxy.other_processes import OtherProcesses
from sipmesh.sip.message import Request, respond
from sipmesh.sip.text_cache import LONGEST_KEY
from support.network import FE1, UNHURRIED, Network
from support.recording import silent_recorder
from support.running import on_loop, until
from support.talking import inside_of, talking


def of_call(method: str, call_id: str) -> Request:
    """Make a request with both tags."""
    made = request(method)
    made.replace("call-id", call_id)
    made.replace("to", "<sip:bob@example.test>;tag=callee")
    return made


@on_loop
async def test_call_is_up_from_its_2xx_to_its_bye(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        calls = home.nodes[FE1].relay.calls.table
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
        assert not home.nodes[FE1].relay.calls.table


@on_loop
async def test_table_holds_the_newest_calls_up_to_its_bound(home: Network) -> None:
    async with home:
        await home.phone("alice", FE1)
        await home.phone("bob", FE1)
        a, b = home.nodes[FE1].flow_table.sessions()
        node = home.nodes[FE1]
        table = CallTable(2, OtherProcesses(), silent_recorder(node), node.relay.calls.bridges)
        names = ("c1", "c2", "c2", "c3")
        for second, name in enumerate(names):
            invite = of_call("INVITE", name)
            table.began(name, invite, respond(invite, 200), a, b, a.account, float(second))
        assert [call.since for call in table.up()] == [1.0, 3.0]
        assert table.unacknowledged(2.0) == {a.number, b.number}
        table.acknowledged("c3")
        assert table.unacknowledged(2.0) == set()
        table.ended("c2", "c2")
        table.ended("unknown", "unknown")
        assert len(table) == 1


@on_loop
async def test_long_names_of_a_call_are_not_kept(home: Network) -> None:
    """A call without an end stays in the table: a Call-ID and names of 30 KiB for each would fill the memory."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        calls, long = home.nodes[FE1].relay.calls.table, "x" * 7_000
        invite = alice.request(
            "INVITE", "sip:bob@example.test", to=f"<sip:bob@example.test;n={long}>", call_id=4 * long
        )
        await alice.send(invite)
        await bob.reply(await bob.request_in("INVITE"), 200)
        answer = await alice.final()
        assert answer.status == 200
        [call] = calls.up()
        assert len(call.callee) == LONGEST_NAME
        assert max(map(len, calls._calls)) <= LONGEST_KEY
        dialog = Dialog.of_caller(invite, answer)
        await alice.send(inside_of(dialog, alice, "ACK"))
        await bob.request_in("ACK")
        assert call.acknowledged
        await alice.send(inside_of(dialog, alice, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)
        await until(lambda: not calls)


@on_loop
async def test_user_with_many_calls_displaces_its_own_only(home: Network) -> None:
    """The other users' calls are known at a drain and in the status, however many calls one user leaves up."""
    home.limits = replace(UNHURRIED, branches_per_user=2, calls_named=4)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        calls = home.nodes[FE1].relay.calls.table
        await talking(bob, alice)
        await alice.request_in("ACK")
        for _ in range(4):
            await talking(alice, bob)
            await bob.request_in("ACK")
        callers = [call.caller for call in calls.up()]
        assert callers == ["sip:bob@example.test", "sip:alice@example.test", "sip:alice@example.test"]
