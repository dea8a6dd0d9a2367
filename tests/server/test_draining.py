"""How a server ends: new work is refused, what is under way gets its final answer, and phones are let go over time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.server.draining import Draining
from sipmesh.sip.message import Request
from sipmesh.transport.limits import Limits
from support.network import FE1, FE2, FE3, FE4, Network
from support.peer import Peer
from support.running import on_loop, until
from support.talking import inside_of, talking


@asynccontextmanager
async def draining(network: Network, server: str = FE1) -> AsyncIterator[asyncio.Event]:
    """Drain a server meanwhile; the event ends that at once."""
    node, hurry = network.nodes[server], asyncio.Event()
    running = asyncio.create_task(Draining(node, network.told[server].log).run(hurry))
    await until(lambda: node.core.state.is_draining)
    try:
        yield hurry
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def under_way(alice: Peer, bob: Peer, method: str = "MESSAGE") -> Request:
    """A request of alice that bob has got and has not answered yet, as bob got it."""
    await alice.send(alice.request(method, f"sip:{bob.user}"))
    return await bob.request_in(method)


@on_loop
async def test_what_is_under_way_is_answered_and_new_work_is_refused(home: Network) -> None:
    async with home:
        alice, bob, carol = [await home.phone(name, FE1) for name in ("alice", "bob", "carol")]
        came = await under_way(alice, bob)
        async with draining(home):
            refused = await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))
            assert (refused.status, refused.values("retry-after")) == (503, ["5"])
            await carol.hung_up()
            await bob.reply(came, 200)
            assert (await alice.final()).status == 200
        assert home.told[FE1].last("drained")["given_up"] == 0
        with pytest.raises(ConnectionRefusedError):
            await home.peer(FE1)


@on_loop
async def test_server_without_work_drains_at_once(home: Network) -> None:
    async with home:
        node = home.nodes[FE1]
        assert not Draining(node, home.told[FE1].log).step()
        async with draining(home):
            pass
        assert home.told[FE1].last("draining")["calls"] == 0


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
@on_loop
async def test_what_is_not_answered_within_the_bound_gets_503(home: Network, method: str) -> None:
    """The phone that rings learns that the caller does not wait any more."""
    home.limits = Limits(stop_s=0.2)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        came = await under_way(alice, bob, method)
        if method == "INVITE":
            await bob.reply(came, 180)
        async with draining(home):
            refused = await alice.final()
            assert (refused.status, refused.values("retry-after")) == (503, ["5"])
        if method == "INVITE":
            await bob.request_in("CANCEL")
        assert home.told[FE1].last("drained")["given_up"] == 1


@on_loop
async def test_second_signal_ends_it_at_once_and_what_is_left_gets_its_final_answer(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await under_way(alice, bob)
        async with draining(home) as hurry:
            hurry.set()
            assert (await alice.final()).status == 503
            await alice.hung_up()
            await bob.hung_up()


@on_loop
async def test_login_that_waits_for_its_delay_is_refused_at_once(home: Network) -> None:
    async with home:
        alice = await home.peer(FE1, "alice")
        for _ in range(3):
            await alice.register(password="wrong")
        asked = asyncio.create_task(alice.register(password="wrong"))
        await until(lambda: home.nodes[FE1].failures.waiting)
        async with draining(home):
            assert (await asked).status == 503
        assert not home.nodes[FE1].failures.waiting


@on_loop
async def test_phones_are_let_go_one_after_the_other(home: Network) -> None:
    """So many in each step as the limit says: the first step lets one of three go, and the next one another."""
    home.limits = Limits(released_per_s=20)
    async with home:
        for name in ("alice", "bob", "carol"):
            await home.phone(name, FE1)
        node = home.nodes[FE1]
        steps = Draining(node, home.told[FE1].log)
        assert steps.step()
        assert [link.usable for link in node.pool.all()].count(False) == 1
        assert steps.step()
        assert [link.usable for link in node.pool.all()].count(True) == 2


@on_loop
async def test_phones_that_another_pool_carries_are_let_go_one_after_the_other(two_pools: Network) -> None:
    """One of them in the first step, and none while a request for it is under way. It logs in at the other server of its pool."""
    two_pools.limits = Limits(released_per_s=20)
    two_pools.starts = (FE1, FE3)
    async with two_pools:
        bob, dora, alice = [await two_pools.phone(*who) for who in (("bob", FE1), ("dora", FE1), ("alice", FE1))]
        two_pools.start(FE4)
        await until(lambda: not two_pools.nodes[FE1].outages.has(FE4))
        came = await under_way(alice, bob)
        node = two_pools.nodes[FE3]
        assert len(node.home_flows) == 2
        node.core.drain()
        steps = Draining(node, two_pools.told[FE3].log)
        assert steps.step()
        await dora.hung_up()
        assert (await two_pools.phone("dora", FE1)).user == "dora@example.test"
        assert steps.step()
        assert len(node.home_flows) == 1
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200
        await until(lambda: not steps.step() and not node.home_flows.links())
        await bob.hung_up()
        await two_pools.phone("bob", FE1)
        assert len(two_pools.nodes[FE4].home_flows) == 2


@on_loop
async def test_requests_within_a_call_go_on_and_the_call_is_named(home: Network) -> None:
    async with home:
        alice, bob, carol = [await home.phone(name, FE1) for name in ("alice", "bob", "carol")]
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        holding = await under_way(alice, carol)
        again = await under_way(bob, carol)
        async with draining(home):
            await alice.send(inside_of(dialog, alice, "BYE"))
            await bob.reply(await bob.request_in("BYE"), 200)
            assert (await alice.final(method="BYE")).status == 200
            await carol.reply(holding, 200)
            await carol.reply(again, 200)
        said = home.told[FE1].last("draining")
        assert (said["calls"], said["up"]) == (1, ["sip:alice@example.test to sip:bob@example.test"])


@on_loop
async def test_log_names_the_newest_of_many_calls(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipmesh.server.draining.MOST_NAMED", 1)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        for caller, callee in ((alice, bob), (bob, alice)):
            await talking(caller, callee)
            await callee.request_in("ACK")
        async with draining(home):
            said = home.told[FE1].last("draining")
        assert (said["calls"], said["up"]) == (2, ["sip:bob@example.test to sip:alice@example.test"])


@on_loop
async def test_phones_of_a_call_stay_until_its_ack_has_passed(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        invite = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(invite)
        came = await bob.request_in("INVITE")
        await bob.reply(came, 200)
        answered = await alice.final()
        async with draining(home):
            steps = Draining(home.nodes[FE1], home.told[FE1].log)
            assert steps.step()
            assert all(link.usable for link in home.nodes[FE1].pool.all())
            await alice.send(inside_of(Dialog.of_caller(invite, answered), alice, "ACK"))
            await bob.request_in("ACK")


@on_loop
async def test_mate_tries_the_next_server_and_hands_no_503_to_the_caller(pool: Network) -> None:
    """A request for a flow of a server that drains goes to the spare flow of the same device."""
    instance = '"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"'
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE2)
        first, second = await pool.peer(FE1, "bob"), await pool.peer(FE2, "bob")
        for number, flow in enumerate((first, second), 1):
            flow.contact = f"{flow.contact};reg-id={number};+sip.instance={instance}"
            expires = ("expires", str(600 * number))  # the flow that stays longer is tried first
            assert (await flow.register((("supported", "outbound"), expires))).status == 200
        came = await under_way(carol, second)
        await carol.reply(await under_way(alice, carol), 200)  # the link between the servers is up
        assert (await alice.final()).status == 200
        async with draining(pool, FE2):
            await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
            await first.reply(await first.request_in("MESSAGE"), 200)
            assert (await alice.final()).status == 200
            alone = await alice.ask(alice.request("MESSAGE", "sip:carol@example.test"))
            assert alone.status == 500
            await second.reply(came, 200)


@on_loop
async def test_new_topology_opens_no_port_while_a_server_drains(home: Network) -> None:
    """A port that could not be opened at the start is opened by the version that makes it right, but not now."""
    async with home:
        node = home.nodes[FE1]
        node.listening.listeners.pop().close()
        node.listening.faults = ("cannot listen",)
        async with draining(home):
            node.put_in_force(home.organisations[0].load())
            assert len(node.listening.listeners) == 1
