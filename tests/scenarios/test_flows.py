"""Flows that another server holds: only by its token, and what follows when they are gone."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.routing.proxy.branch_kinds import SILENT_S
from sipmesh.routing.registrar.binding import Binding
from support.bindings import bound, until_bound
from support.network import BOT, FE1, FE2, Network
from support.peer import Peer
from support.process import serving, spawn
from support.running import on_jumping_loop, on_loop, until

INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"'


@on_loop
@pytest.mark.wide
async def test_users_of_a_server_that_was_killed_are_unavailable_at_once_and_reachable_where_they_return(
    example: Organisation,
) -> None:
    """Kill -9 writes nothing back: its rows are still there, and are replaced by the same instance's new one."""
    async with Network((example,), starts=(FE1,)) as network, serving(example, FE2) as other:
        alice = await network.phone("alice", FE1)
        bob = await device(network, FE2)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
        await other.end(signal.SIGKILL)
        assert (await alice.ask(alice.request("OPTIONS", "sip:bob@example.test"))).status == 480
        assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 202
        bob = await device(network, FE1)
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert len(await rows(network)) == 1
        await alice.send(alice.request("OPTIONS", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("OPTIONS"), 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_call_reaches_the_other_device_of_a_user_whose_server_was_killed(example: Organisation) -> None:
    async with Network((example,), starts=(FE1,)) as network, serving(example, FE2) as other:
        alice = await network.phone("alice", FE1)
        await network.phone("bob", FE2)
        here = await network.phone("bob", FE1)
        await other.end(signal.SIGKILL)
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        await here.reply(await here.request_in("INVITE"), 200)
        assert (await alice.final()).status == 200


@on_loop
@pytest.mark.wide
async def test_rows_of_a_server_that_starts_again_are_dead(example: Organisation) -> None:
    async with Network((example,), starts=(FE1,)) as network:
        async with serving(example, FE2) as other:
            await network.phone("bob", FE2)
            await other.end(signal.SIGKILL)
        assert len(await rows(network)) == 1
        async with serving(example, FE2):
            assert not await rows(network)


@on_loop
async def test_second_start_of_a_running_server_fails_and_harms_nothing(example: Organisation) -> None:
    """Its ports are taken; neither the rows nor the control socket of the running server are touched."""
    async with Network((example,)) as network, serving(example, FE1) as running:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        second = await spawn(example, FE1)
        assert await second.started.waited() == 1
        assert (await running.ask("status"))["pid"] == running.started.pid
        await bob.send(bob.request("OPTIONS", "sip:alice@example.test"))
        await alice.reply(await alice.request_in("OPTIONS"), 200)
        assert (await bob.final()).status == 200


@on_loop
async def test_row_whose_flow_has_failed_is_dropped_and_the_next_device_is_tried(pool: Network) -> None:
    """The other server answers 430 and looks up no user again; the row goes, and the caller sees the other device's answer."""
    async with pool:
        alice = await pool.phone("alice", FE1)
        await stale_row(pool)
        mobile = await pool.peer(FE1, "bob")
        mobile.contact = f"{mobile.contact};q=0.1"
        assert (await mobile.register()).status == 200
        assert len(await rows(pool)) == 2
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await mobile.reply(await mobile.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
        assert len(await rows(pool)) == 1


@on_loop
async def test_user_whose_only_flow_has_failed_is_unavailable(pool: Network) -> None:
    async with pool:
        alice = await pool.phone("alice", FE1)
        await stale_row(pool)
        assert (await alice.ask(alice.request("OPTIONS", "sip:bob@example.test"))).status == 480
        assert not await rows(pool)


@on_loop
async def test_link_between_front_ends_that_breaks_unregisters_no_phone(pool: Network) -> None:
    """A broken link says nothing about the flows behind the other server."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        await alice.send(alice.request("OPTIONS", "sip:bob@example.test"))
        lost = await bob.request_in("OPTIONS")
        for link in pool.nodes[FE1].pool.all():
            if link.peer_name == FE2:
                link.close("the test has cut it")
        assert (await alice.final()).status == 480
        await bob.reply(lost, 200)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_two_flows_of_one_device_get_a_call_once(pool: Network) -> None:
    """RFC 5626 section 7: the second flow is for the case that the first has failed."""
    async with pool:
        alice = await pool.phone("alice", FE1)
        first, second = await device(pool, FE1, reg_id=1), await device(pool, FE2, reg_id=2)
        assert len(await rows(pool)) == 2
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await second.reply(await second.request_in("MESSAGE"), 200)  # the newer one
        assert (await alice.final()).status == 200
        await first.silent()


@on_loop
async def test_other_flow_of_a_device_is_taken_where_the_first_has_failed(pool: Network) -> None:
    async with pool:
        alice = await pool.phone("alice", FE1)
        first = await device(pool, FE1, reg_id=1)
        await stale_row(pool, f"{INSTANCE};reg-id=2")
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await first.reply(await first.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200


@pytest.mark.parametrize("server", [FE1, FE2])
@on_jumping_loop
async def test_old_link_of_a_phone_does_not_hold_up_that_its_user_is_busy(pool: Network, server: str) -> None:
    """Without an instance, a phone that comes back leaves its old link registered, here or at the other server.

    The caller gets the answer after `SILENT_S`, and not after timer B (32 s).
    """
    async with pool, ticking(pool):
        alice, loop = await pool.phone("alice", FE1), asyncio.get_running_loop()
        old, new = await pool.phone("bob", server), await pool.phone("bob", FE1)
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        await old.request_in("INVITE")
        began = loop.time()
        await new.reply(await new.request_in("INVITE"), 486)
        assert (await alice.final()).status == 486
        assert SILENT_S <= loop.time() - began < 2 * SILENT_S


@pytest.mark.parametrize("server", [FE1, FE2])
@on_jumping_loop
@pytest.mark.wide
async def test_phone_that_sends_100_is_waited_for(pool: Network, server: str) -> None:
    """It may take long until it rings, such as for gathering candidates (ICE)."""
    async with pool, ticking(pool):
        alice = await pool.phone("alice", FE1)
        slow, busy = await pool.phone("bob", server), await pool.phone("bob", FE1)
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        asked = await slow.request_in("INVITE")
        await slow.reply(asked, 100)
        await busy.reply(await busy.request_in("INVITE"), 486)
        await asyncio.sleep(3 * SILENT_S)
        await slow.reply(asked, 200)
        assert (await alice.final()).status == 200


@pytest.mark.parametrize("server", [FE1, FE2])
@on_jumping_loop
@pytest.mark.wide
async def test_call_goes_to_the_next_flow_of_a_device_whose_newest_is_silent(pool: Network, server: str) -> None:
    """RFC 5626 section 7: after the timeout of one flow, the device is called on its other one."""
    async with pool, ticking(pool):
        alice = await pool.phone("alice", FE1)
        first, second = await device(pool, FE1, reg_id=1), await device(pool, server, reg_id=2)
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        await second.request_in("INVITE")
        await first.reply(await first.request_in("INVITE"), 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_token_of_a_flow_counts_only_from_a_server_of_the_pool(pool: Network) -> None:
    async with pool:
        bob = await pool.phone("bob", FE2)
        [row] = await rows(pool)
        route = [("route", f"<sip:{row.token}@{FE2};lr>")]
        alice = await pool.phone("alice", FE2)
        assert (await alice.ask(alice.request("MESSAGE", row.contact, route))).status == 403
        bot = await pool.peer(FE2, "bot", BOT)
        assert (await bot.ask(bot.request("MESSAGE", row.contact, route))).status == 403
        await bob.silent()
        mate = await pool.peer(FE2, "alice", FE1)
        await mate.send(mate.request("MESSAGE", row.contact, route))
        assert (await bob.request_in("MESSAGE")).values("p-asserted-identity") == ["<sip:alice@example.test>"]


@on_loop
async def test_forged_and_foreign_tokens_lead_nowhere(pool: Network) -> None:
    """One byte changed, or made by another server: it is no token of ours, and no user is looked up by it."""
    async with pool:
        bob = await pool.phone("bob", FE2)
        [row] = await rows(pool)
        mate = await pool.peer(FE2, "alice", FE1)
        forged = row.token[:-1] + ("A" if row.token[-1] != "A" else "B")
        for token in (forged, pool.nodes[FE1].tokens.flow(1, "sip:bob@example.test")):
            request = mate.request("MESSAGE", "sip:bob@192.0.2.1", [("route", f"<sip:{token}@{FE2};lr>")])
            assert (await mate.ask(request)).status == 404
        await bob.silent()


@on_loop
async def test_token_of_an_earlier_start_is_answered_430(pool: Network) -> None:
    async with pool:
        await pool.phone("bob", FE2)
        [row] = await rows(pool)
        await pool.stop(FE2)
        pool.start(FE2)
        await pool.phone("bob", FE2)
        mate = await pool.peer(FE2, "alice", FE1)
        request = mate.request("MESSAGE", row.contact, [("route", f"<sip:{row.token}@{FE2};lr>")])
        assert (await mate.ask(request)).status == 430


@on_loop
async def test_registration_goes_with_its_link(home: Network) -> None:
    async with home:
        bob = await home.phone("bob", FE1)
        assert len(await rows(home)) == 1
        await bob.__aexit__()
        await until_bound(home.nodes[FE1], "sip:bob@example.test", 0)


@asynccontextmanager
async def ticking(network: Network) -> AsyncIterator[None]:
    """Let the servers look at their deadlines twice a second, as `sipmesh serve` does."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.5)
            for node in network.nodes.values():
                node.tick()

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        task.cancel()


async def device(network: Network, server: str, reg_id: int = 0) -> Peer:
    """A device of bob's that names its instance."""
    peer = await network.peer(server, "bob")
    number = f";reg-id={reg_id}" if reg_id else ""
    peer.contact = f"{peer.contact};{INSTANCE}{number}"
    assert (await peer.register()).status == 200
    peer.contact = peer.contact.partition(";+sip")[0]
    return peer


async def stale_row(network: Network, parameters: str = "") -> None:
    """Leave a row of bob's at the second front end whose link is gone, as if it had died in this very moment."""
    node = network.nodes[FE2]
    peer = await network.peer(FE2, "bob")
    peer.contact = f"{peer.contact};{parameters}" if parameters else peer.contact
    assert (await peer.register()).status == 200
    flow = next(one for one in node.flow_table.sessions() if one.users)
    flow.registered = False
    await peer.__aexit__()
    await until(lambda: flow not in node.flow_table.sessions())


async def rows(network: Network) -> list[Binding]:
    """The rows of bob that any front end would route to."""
    return await bound(next(iter(network.nodes.values())), "sip:bob@example.test")
