"""What one process of a server receives from the others: calls and their ends, and failed logins."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.authentication.backoff import Attempt
from sipmesh.server.proxy.call_table import CallTable
from sipmesh.server.proxy.links.reception import COUNTS_OF_FRAME
from sipmesh.server.proxy.other_processes import OtherProcesses
from sipmesh.server.proxy.siblings.channel import SUPERVISOR
from support.peer import Peer
from support.recording import silent_recorder
from support.running import on_loop, until
from support.siblings import ONE, TWO, Pair, pair_of
from support.talking import inside_of, talking

LATER = 3
"""The start of the process that replaces worker 2."""


def calls(pair: Pair, worker: int) -> CallTable:
    """The calls that a worker knows."""
    return pair.nodes[worker].relay.calls.table


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
    async with pair_of(example) as pair:
        table = CallTable(2, OtherProcesses(), silent_recorder(pair.nodes[ONE]), pair.nodes[ONE].relay.calls.bridges)
        for number in (1, 2, 3):
            table.began_elsewhere(f"c{number}", number, float(number))
        assert table.links() == {2, 3}
        assert table.unacknowledged(2.0) == {3}
        table.ended_elsewhere("c3")
        table.ended_here("c2")
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
        assert not node.under_way.waits_on(flow)
        assert node.logins.moved.step() == []
        await hang_up(alice, bob, dialog)
        await bob.hung_up()


def delay_s(pair: Pair, worker: int, user: str) -> float:
    """How long a login as *user* from this machine waits at *worker*."""
    attempt = Attempt("", "127.0.0.1", f"sip:{user}@example.test")
    return pair.nodes[worker].failures.delay_s(attempt, asyncio.get_running_loop().time())


@on_loop
async def test_worker_that_replaces_another_one_knows_the_failed_logins_of_before(example: Organisation) -> None:
    """Otherwise each worker that ends would give free guesses again. Control: other users do not wait, and can log in."""
    async with pair_of(example, supervised=True) as pair:
        for _ in range(3):
            assert (await (await pair.peer("alice", TWO)).register(password="wrong")).status == 401
        await until(lambda: delay_s(pair, SUPERVISOR, "alice") == delay_s(pair, TWO, "alice") == 1.0)
        pair.siblings(ONE).close()
        await pair.replace(TWO, LATER)
        await until(lambda: delay_s(pair, TWO, "alice") == 1.0)
        assert delay_s(pair, TWO, "carol") == 0
        await pair.phone("carol", TWO)
        await pair.phone("alice", TWO)


@on_loop
async def test_more_counts_than_one_frame_holds_are_all_sent(example: Organisation) -> None:
    async with pair_of(example, supervised=True) as pair:
        now = asyncio.get_running_loop().time()
        for number in range(2 * COUNTS_OF_FRAME):
            attempt = Attempt("1", f"192.0.2.{number % 250}", f"sip:u{number}@example.test")
            pair.nodes[SUPERVISOR].failures.failed(attempt, now)
        expected = {(count.key, count.failed) for count in pair.nodes[SUPERVISOR].failures.counts(now)}
        await pair.replace(TWO, LATER)
        failures = pair.nodes[TWO].failures
        await until(lambda: {(count.key, count.failed) for count in failures.counts(now)} == expected)


@on_loop
async def test_only_the_supervisor_tells_a_new_worker(example: Organisation) -> None:
    """With 64 workers, a new one would hear everything 64 times. The frames of one channel keep their order."""
    async with pair_of(example) as pair:
        pair.siblings(ONE).close()
        pair.nodes[ONE].failures.failed(
            Attempt("1", "192.0.2.1", "sip:alice@example.test"), asyncio.get_running_loop().time()
        )
        pair.connect()
        await pair.phone("bob", ONE)
        await until(lambda: bool(pair.links_elsewhere(TWO)))
        assert pair.nodes[TWO].failures.has_none
