"""A pool on two machines whose registrations are in Valkey: what users see, also while the store is away."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.admin.status_report import status_of as status_report
from support.network import FE1, FE2, POOL
from support.peer import Peer
from support.running import on_loop, until
from support.talking import device_is_found_wherever_it_moves, reaches
from support.two_hosts import TwoHosts
from support.valkey_network import pool_entry
from support.valkey_server import ValkeyServer

pytestmark = pytest.mark.peer("valkey")
MOVES = 10
BOB = "sip:bob@example.test"


@pytest.fixture(name="hosts")
def _hosts(example: Organisation, tmp_path: Path, valkey: ValkeyServer) -> TwoHosts:
    return TwoHosts.of_pool(example, tmp_path, valkey)


async def status_of(sender: Peer, user: str) -> int:
    """Send a message, and give the status of its answer."""
    return (await sender.ask(sender.request("MESSAGE", user))).status


@on_loop
async def test_user_who_moves_between_machines_is_found_the_moment_the_register_is_answered(hosts: TwoHosts) -> None:
    """One device registers here and there, while both servers have its last place in memory."""
    async with hosts as network:
        await network.connected()
        here, there = await network.phone("alice", FE1), await network.phone("carol", FE2)
        await device_is_found_wherever_it_moves(network, (here, there), MOVES)


@on_loop
async def test_second_device_at_another_machine_gets_the_next_call_too(hosts: TwoHosts) -> None:
    """The rows in memory were right a moment ago."""
    async with hosts as network:
        await network.connected()
        alice, first = await network.phone("alice", FE1), await network.phone("bob", FE1)
        await reaches(alice, first)
        second = await network.phone("bob", FE2)
        await alice.send(alice.request("OPTIONS", BOB))
        for phone in (first, second):
            await phone.reply(await phone.request_in("OPTIONS"), 486 if phone is first else 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_user_who_is_registered_nowhere_gets_480_once_all_servers_have_said_so(hosts: TwoHosts) -> None:
    async with hosts as network:
        await network.connected()
        alice = await network.phone("alice", FE1)
        assert await status_of(alice, BOB) == 480


@on_loop
async def test_user_at_a_server_that_was_added_is_found_by_a_server_that_has_run_all_the_time(hosts: TwoHosts) -> None:
    """The new version is all that it has heard: its rows of the added server count from then on, without a restart."""
    host = hosts.organisations[0]
    host.document = copy.deepcopy(host.document)  # fe2 has the topology with both servers
    entry = pool_entry(host, POOL)
    both, entry["servers"] = entry["servers"], entry["servers"][:1]
    hosts.starts = (FE1,)
    async with hosts as network:
        await network.connected()
        alice = await network.phone("alice", FE1)
        entry["servers"] = both
        host.write()
        network.nodes[FE1].put_in_force(host.load())
        network.start(FE2)
        await network.connected()
        bob = await network.phone("bob", FE2)
        await reaches(bob, alice)
        await reaches(alice, bob)


@on_loop
@pytest.mark.wide
async def test_store_that_is_away_is_logged_once_and_costs_new_registrations_only(
    hosts: TwoHosts, valkey: ValkeyServer
) -> None:
    """Users on one machine, and those whose place is known, go on; an unknown user is not reported as away."""
    async with hosts as network:
        await network.connected()
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        valkey.kill()
        await until(lambda: list(network.told[FE1].events("registrations cannot be stored")))
        await reaches(alice, bob)
        assert (await bob.register()).status == 200
        assert await status_of(alice, "sip:carol@example.test") == 503
        assert f"valkey://127.0.0.1:{valkey.port}" in status_report(network.nodes[FE1]).bindings_fault
        newcomer = await (await network.peer(FE1, "carol")).register()
        assert (newcomer.status, bool(newcomer.values("retry-after"))) == (503, True)
        [line] = network.told[FE1].events("registrations cannot be stored")
        assert f"valkey://127.0.0.1:{valkey.port}" in line["why"]
        valkey.start()
        await until(lambda: list(network.told[FE1].events("registrations can be stored again")))
        await until(lambda: not status_report(network.nodes[FE2]).bindings_fault)
        assert (await network.phone("carol", FE2)).user
        assert status_report(network.nodes[FE1]).bindings_fault == ""


@on_loop
@pytest.mark.wide
async def test_empty_store_has_every_registration_again_without_any_phone(
    hosts: TwoHosts, valkey: ValkeyServer
) -> None:
    async with hosts as network:
        await network.connected()
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE2)
        await reaches(alice, bob)
        valkey.kill()
        await until(lambda: not network.store_of(FE1).is_connected and not network.store_of(FE2).is_connected)
        valkey.start()
        await network.connected()
        await reaches(alice, bob)
        await reaches(bob, alice)
        assert await status_of(alice, "sip:carol@example.test") == 480


@on_loop
async def test_no_user_is_reported_away_before_each_server_has_stored_its_rows_again(
    hosts: TwoHosts, valkey: ValkeyServer
) -> None:
    """fe2 cannot reach the new store yet; its user is not known at fe1, and is there all the same."""
    async with hosts as network:
        await network.connected()
        alice = await network.phone("alice", FE1)
        assert (await network.phone("bob", FE2)).user
        network.store_of(FE2).close()
        valkey.kill()
        await until(lambda: not network.store_of(FE1).is_connected)
        valkey.start()
        await until(lambda: network.store_of(FE1).is_connected)
        assert await status_of(alice, BOB) == 503


@on_loop
async def test_host_with_another_key_is_named_to_the_operator_and_no_user_is_said_to_be_away(
    hosts: TwoHosts,
) -> None:
    """As after a forgotten copy of the key. Users of one server reach each other."""
    (hosts.of(FE2).folder / "state" / f"{POOL}.dialog-key").write_bytes(bytes(32))
    async with hosts as network:
        await until(lambda: all(network.nodes[name].registrations.fault for name in (FE1, FE2)))
        for name, other in ((FE1, FE2), (FE2, FE1)):
            fault = status_report(network.nodes[name]).bindings_fault
            assert other in fault
            assert f"state/{POOL}.dialog-key" in fault
        alice, carol = await network.phone("alice", FE1), await network.phone("carol", FE1)
        assert (await network.phone("bob", FE2)).user
        await reaches(alice, carol)
        assert await status_of(alice, BOB) == 503


@on_loop
@pytest.mark.wide
async def test_store_that_hangs_is_found_out_and_used_again_when_it_goes_on(
    hosts: TwoHosts, valkey: ValkeyServer
) -> None:
    async with hosts as network:
        await network.connected()
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        valkey.hang()
        try:
            await reaches(alice, bob)
            await until(lambda: not network.store_of(FE1).is_connected)
            await reaches(alice, bob)
        finally:
            valkey.go_on()
        await network.connected()
        carol = await network.phone("carol", FE2)
        await reaches(alice, carol)
