"""Calls between phones at two workers: both workers know them, whichever a BYE passes."""

from __future__ import annotations

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.server.proxy.call_table import CallTable
from support.peer import Peer
from support.running import on_loop, until
from support.siblings import ONE, TWO, Pair, pair_of
from support.talking import inside_of, talking


def calls(pair: Pair, worker: int) -> CallTable:
    """The calls that a worker knows."""
    return pair.nodes[worker].relay.calls


def link_of(pair: Pair, worker: int) -> int:
    """The number of the only link of a phone at a worker."""
    [flow] = [flow for flow in pair.nodes[worker].flow_table.sessions() if flow.link.is_here]
    return flow.number


async def hang_up(sender: Peer, receiver: Peer, dialog: Dialog) -> None:
    """End a call."""
    await sender.send(inside_of(dialog, sender, "BYE"))
    await receiver.reply(await receiver.request_in("BYE"), 200)
    assert (await sender.final(method="BYE")).status == 200


@pytest.mark.parametrize("by_callee", [False, True])
@on_loop
async def test_call_ends_at_both_workers_with_the_bye_of_either_side(example: Organisation, *, by_callee: bool) -> None:
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        came, tag, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        await until(lambda: link_of(pair, TWO) in calls(pair, TWO).links())
        assert (len(calls(pair, ONE)), len(calls(pair, TWO))) == (1, 0)  # it is counted once
        assert link_of(pair, ONE) in calls(pair, ONE).links()
        assert calls(pair, TWO).unacknowledged(0.0) == {link_of(pair, TWO)}
        if by_callee:
            await hang_up(bob, alice, Dialog.of_callee(came, tag))
        else:
            await hang_up(alice, bob, dialog)
        await until(lambda: not calls(pair, ONE))
        await until(lambda: not calls(pair, TWO).links())


@on_loop
async def test_call_between_two_phones_of_one_worker_concerns_no_other(example: Organisation) -> None:
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", ONE)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        assert not calls(pair, TWO).links()
        await hang_up(alice, bob, dialog)
        assert not calls(pair, ONE)


@on_loop
async def test_calls_of_another_worker_are_bounded_too(example: Organisation) -> None:
    async with pair_of(example):
        table = CallTable(2)
        for number in (1, 2, 3):
            table.began_elsewhere(f"c{number}", number, float(number))
        assert table.links() == {2, 3}
        assert table.unacknowledged(2.0) == {3}
        table.ended_elsewhere("c3")
        table.ended("c2")
        assert not table.links()


@on_loop
async def test_link_is_not_closed_while_another_worker_calls_its_phone(example: Organisation) -> None:
    """Neither while it rings nor while the call is up: its user was moved to another pool meanwhile."""
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", TWO)
        node = pair.nodes[TWO]
        [flow] = [flow for flow in node.flow_table.sessions() if flow.link.is_here]
        invite = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(invite)
        came = await bob.request_in("INVITE")
        node.logins.moved.add(flow)
        assert node.logins.moved.step() == []
        await bob.reply(came, 200)
        dialog = Dialog.of_caller(invite, await alice.final())
        await alice.send(inside_of(dialog, alice, "ACK"))
        await bob.request_in("ACK")
        await until(lambda: flow.number in calls(pair, TWO).links())
        assert not node.relay.waits_on(flow)
        assert node.logins.moved.step() == []
        await hang_up(alice, bob, dialog)
        await bob.hung_up()
