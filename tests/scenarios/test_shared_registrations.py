"""Registrations of a pool whose servers are processes of their own: what one has answered, the others know."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.topology.view import view
from support.network import FE1, FE2, Network
from support.process import serving
from support.running import on_loop
from support.talking import device_is_found_wherever_it_moves, reaches

BOB = "sip:bob@example.test"
MOVES = 10


@on_loop
async def test_user_who_moves_between_servers_is_found_at_once_after_a_200_of_any_server(
    example: Organisation,
) -> None:
    """One device that registers here and there, while both servers have its last place in memory."""
    async with Network((example,), starts=(FE1,)) as network, serving(example, FE2):
        here, there = await network.phone("alice", FE1), await network.phone("carol", FE2)
        await device_is_found_wherever_it_moves(network, (here, there), MOVES)


@on_loop
async def test_file_that_another_process_has_locked_delays_only_clients_that_change_something(
    example: Organisation,
) -> None:
    """The loop of the server answers meanwhile; the registration is answered when the lock has ended."""
    async with Network((example,)) as network, serving(example, FE1) as server:
        alice, bob, carol = [await network.peer(FE1, name) for name in ("alice", "bob", "carol")]
        assert (await alice.register()).status == (await bob.register()).status == 200
        with closing(sqlite3.connect(view(example.load(), FE1).bindings_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await carol.send(await carol.with_credentials())
            for _ in range(5):
                assert (await alice.ask(alice.request("OPTIONS", "sip:example.test"))).status == 200
                assert (await alice.register()).status == 200
                await reaches(alice, bob)
                assert len((await server.ask("registrations"))["bindings"]) == 2
            await carol.silent()
            other.execute("ROLLBACK")
        assert (await carol.final()).status == 200
        await reaches(alice, carol)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@on_loop
async def test_server_that_dies_or_hangs_holds_up_no_registration_elsewhere(
    example: Organisation, number: signal.Signals
) -> None:
    """Neither does the place where its users were: their next registration replaces it."""
    async with Network((example,), starts=(FE1,)) as network, serving(example, FE2) as other:
        alice = await network.phone("alice", FE1)
        bob = await network.peer(FE2, "bob")
        bob.contact = f'{bob.contact};+sip.instance="<urn:uuid:1>"'
        assert (await bob.register()).status == 200
        bob.contact = bob.contact.partition(";+sip")[0]
        await reaches(alice, bob)
        other.started.send_signal(number)
        back = await network.peer(FE1, "bob")
        back.contact = f'{back.contact};+sip.instance="<urn:uuid:1>"'
        assert (await back.register()).status == 200
        back.contact = back.contact.partition(";+sip")[0]
        await reaches(alice, back)
        assert network.nodes[FE1].registrations.count() == 2
