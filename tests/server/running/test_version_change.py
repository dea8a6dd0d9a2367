"""Another version comes into force, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from server.running.test_running_server import linked
from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import free_port
from sipmesh.errors import OperatorError
from sipmesh.server.proxy.outside import Follower, RevocationSources
from sipmesh.topology.view import view
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, FE2, POOL, POOL2, Network
from support.running import on_loop
from support.siblings import ONE, pair_of
from support.valkey_network import pool_entry


@on_loop
async def test_version_comes_into_force_on_every_part_and_closes_what_it_refuses(pool: Network) -> None:
    """The second front end leaves the topology: its link closes, and that of the phone stays."""
    async with pool:
        node, example = await linked(pool), pool.organisations[0]
        [between] = [link for link in node.pool.all() if link.kind is LinkKind.SERVER]
        document: dict[str, Any] = example.document
        [servers] = [one["servers"] for one in document["pools"] if any(it["name"] == FE2 for it in one["servers"])]
        servers[:] = [server for server in servers if server["name"] != FE2]
        example.write()
        assert node.put_in_force(example.load()) == [between.id]
        assert node.gatekeeper.view is node.view
        assert FE2 not in node.view.trusted
        assert [link.kind for link in node.pool.all() if link is not between] == [LinkKind.CLIENT]


@on_loop
async def test_version_with_another_role_of_this_server_changes_nothing(home: Network) -> None:
    async with home:
        node, example = home.nodes[FE1], home.organisations[0]
        before, prepared = node.view, node.prepare(example.load())
        changed = replace(prepared, view=view(example.load(), EDGE))
        with pytest.raises(OperatorError, match="restart this server in its new role"):
            node.put_prepared(changed)
        assert node.view is before


@on_loop
async def test_addresses_and_workers_of_another_version_need_a_restart(home: Network) -> None:
    async with home:
        node, example = home.nodes[FE1], home.organisations[0]
        document: dict[str, Any] = example.document
        for pool in document["pools"]:
            for server in pool["servers"]:
                if server["name"] == FE1:
                    server["ports"]["client"], server["workers"] = free_port(), 2
        before = example.load()
        example.write()
        assert node.put_in_force(example.load()) == []
        assert node.awaits_restart == "published addresses or ports differ; the published number of workers differs"
        warnings = [line["event"] for line in home.told[FE1].lines if line["level"] == "warning"]
        assert "published addresses or ports differ: restart this server to use them" in warnings
        assert "the published number of workers differs: restart this server to use it" in warnings
        node.put_in_force(before)
        assert node.awaits_restart == ""


@on_loop
@pytest.mark.parametrize("storage", [{"bindings": "state/b.db"}, {"messages": "sqlite:///state/m.db"}])
async def test_stores_of_another_version_need_a_restart(home: Network, storage: dict[str, str]) -> None:
    async with home:
        node, example = home.nodes[FE1], home.organisations[0]
        example.document["storage"] = storage
        example.write()
        assert node.put_in_force(example.load()) == []
        [warning] = [line["event"] for line in home.told[FE1].lines if line["level"] == "warning"]
        assert warning == "the published stores differ: restart this server to use them"


@on_loop
async def test_another_pool_needs_a_restart(two_pools: Network) -> None:
    two_pools.starts = (FE1,)
    async with two_pools:
        [example] = two_pools.organisations
        first, second = (pool_entry(example, pool) for pool in (POOL, POOL2))
        second["servers"].append(first["servers"].pop(0))
        example.write()
        assert two_pools.nodes[FE1].put_in_force(example.load()) == []
        [warning] = [line["event"] for line in two_pools.told[FE1].lines if line["level"] == "warning"]
        assert warning.startswith("the published pool of this server differs: restart it")


@on_loop
async def test_sources_are_followed_before_their_version_is_in_force(home: Network) -> None:
    async with home:
        node, followed = home.nodes[FE1], list[tuple[object, object]]()

        class Sources(RevocationSources):
            def follow(self, loaded: object) -> None:
                followed.append((loaded, node.view.loaded))

        node.outside.sources = Sources()
        before, loaded = node.view.loaded, home.organisations[0].load()
        node.put_in_force(loaded)
        assert followed == [(loaded, before)]
        assert node.supplies(datetime.now(UTC)) == ()


@on_loop
async def test_other_processes_put_the_same_in_force(example: Organisation) -> None:
    class Other(Follower):
        is_settled = False
        versions = 0

        def version_changed(self) -> None:
            self.versions += 1

    async with pair_of(example) as pair:
        node, follower = pair.nodes[ONE], Other()
        assert node.is_settled
        node.outside.follower = follower
        node.put_in_force(example.load())
        assert (node.is_settled, follower.versions) == (False, 1)
        assert node.siblings is not None
