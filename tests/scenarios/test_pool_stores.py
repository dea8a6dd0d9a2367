"""Pools with stores of their own: what goes from one to the other goes by SIP, and needs no store of the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.admin.status_report import status_of as status_report
from sipmesh.storage.location_service.sqlite_locations import SqliteLocations
from sipmesh.storage.users.user_database import Users
from support.backing import back
from support.network import FE1, FE2, FE3, FE4, POOL, POOL2, copied
from support.running import on_loop, until
from support.talking import reaches
from support.valkey_network import ValkeyNetwork, give_store
from support.valkey_server import ValkeyServer

pytestmark = pytest.mark.peer("valkey")
BOB = "sip:bob@example.test"


@pytest.fixture(name="other_valkey")
def _other_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path / "valkey2") as server:
        yield server


@pytest.fixture(name="organisation")
def _organisation(two_pools_model: Organisation, tmp_path: Path, valkey: ValkeyServer) -> Organisation:
    """The first pool is in Valkey, and the second one in the file of the general storage."""
    organisation = copied(two_pools_model, tmp_path / "e")
    give_store(organisation, POOL, valkey, "secret")
    return organisation


@pytest.fixture(name="mixed")
def _mixed(organisation: Organisation) -> ValkeyNetwork:
    return ValkeyNetwork((organisation,), starts=(FE1, FE2, FE3, FE4))


@pytest.fixture(name="two_sites")
def _two_sites(organisation: Organisation, other_valkey: ValkeyServer) -> ValkeyNetwork:
    """A Valkey at each site."""
    give_store(organisation, POOL2, other_valkey, "other-secret")
    return ValkeyNetwork((organisation,), starts=(FE1, FE2, FE3, FE4))


@on_loop
async def test_users_of_pools_with_a_store_each_reach_each_other(
    two_sites: ValkeyNetwork, valkey: ValkeyServer, other_valkey: ValkeyServer
) -> None:
    """Each store has the rows of its own pool and no others. The servers of one pool share one, and report no fault."""
    async with two_sites as network:
        await network.connected()
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE4)
        for sender, receiver in ((alice, bob), (bob, alice), (await network.phone("dora", FE3), bob)):
            await reaches(sender, receiver)
        for store, pool in ((valkey, POOL), (other_valkey, POOL2)):
            keys = store.ask("KEYS", "*")
            assert isinstance(keys, list)
            assert {key.decode().partition("}")[0].rpartition("/")[2] for key in keys} == {pool}
        reports = {name: status_report(node) for name, node in network.nodes.items()}
        assert reports[FE1].bindings == reports[FE2].bindings != reports[FE3].bindings == reports[FE4].bindings
        assert [report.bindings_fault for report in reports.values()] == 4 * [""]


@on_loop
async def test_pool_with_a_store_of_its_own_beside_one_with_the_general_file(mixed: ValkeyNetwork) -> None:
    async with mixed as network:
        await network.connected(FE1, FE2)
        assert isinstance(network.nodes[FE3].locations, SqliteLocations)
        alice, bob = await network.phone("alice", FE2), await network.phone("bob", FE3)
        await reaches(alice, bob)
        await reaches(bob, alice)


@on_loop
async def test_user_who_is_moved_registers_in_the_store_of_the_new_pool(two_sites: ValkeyNetwork) -> None:
    """The old pool removes the row from its own store, and then asks the new pool."""
    async with two_sites as network:
        await network.connected()
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE3)
        users = Users(network.organisations[0].load().users_url)
        users.move("bob@example.test", POOL)
        users.close()
        for node in network.nodes.values():
            await node.user_updates.refresh()
        await bob.hung_up()
        await until(lambda: not network.nodes[FE3].registrations.is_here(BOB))
        bob = await network.phone("bob", FE2)
        await reaches(alice, bob)
        await reaches(await network.phone("dora", FE4), bob)


async def lose_home_pool(network: ValkeyNetwork, valkey: ValkeyServer) -> None:
    """Stop the servers of the home pool and kill its store; wait until both servers of the backup pool have taken over."""
    for name in (FE1, FE2):
        await network.stop(name)
    valkey.kill()
    await until(lambda: all(POOL in network.nodes[name].takeovers.pools for name in (FE3, FE4)))


@on_loop
async def test_backup_pool_takes_over_without_the_store_of_the_home_pool(
    two_sites: ValkeyNetwork, valkey: ValkeyServer
) -> None:
    """The site of the home pool is lost with its store, and comes back with an empty one."""
    back(two_sites.organisations[0], after_s=2)
    async with two_sites as network:
        await network.connected()
        bob, alice = await network.phone("bob", FE3), await network.phone("alice", FE1)
        await reaches(bob, alice)
        await lose_home_pool(network, valkey)
        alice = await network.phone("alice", FE4)
        await reaches(bob, alice)
        await reaches(alice, bob)
        valkey.start()
        give_store(network.organisations[0], POOL, valkey, "secret")
        for name in (FE1, FE2):
            network.start(name)
        await alice.hung_up()
        await until(lambda: not any(network.nodes[name].takeovers.pools for name in (FE3, FE4)))
        await network.connected()
        alice = await network.phone("alice", FE2)
        await reaches(bob, alice)
        await reaches(alice, bob)


@pytest.mark.wide
@on_loop
async def test_backup_pool_with_a_file_takes_over_from_a_pool_in_valkey(
    mixed: ValkeyNetwork, valkey: ValkeyServer
) -> None:
    back(mixed.organisations[0], after_s=2)
    async with mixed as network:
        await network.connected(FE1, FE2)
        bob = await network.phone("bob", FE3)
        await lose_home_pool(network, valkey)
        alice = await network.phone("alice", FE4)
        await reaches(bob, alice)


@on_loop
async def test_running_servers_keep_their_store_until_they_are_restarted(
    two_sites: ValkeyNetwork, valkey: ValkeyServer
) -> None:
    """A new version with another store is in force at once, but for the store: `topology plan` names who must be restarted."""
    [organisation] = two_sites.organisations
    async with two_sites as network:
        await network.connected()
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE3)
        before = network.store_of(FE3).identity
        give_store(organisation, POOL2, valkey, "third-secret")
        for node in network.nodes.values():
            node.put_in_force(organisation.load())
        dora = await network.phone("dora", FE4)
        for sender in (alice, dora):
            await reaches(sender, bob)
        assert {network.store_of(name).identity for name in (FE3, FE4)} == {before}
        for name in (FE3, FE4):
            await network.stop(name)
            network.start(name)
        await network.connected()
        assert before not in {network.store_of(name).identity for name in (FE3, FE4)}
        bob = await network.phone("bob", FE4)
        await reaches(alice, bob)
