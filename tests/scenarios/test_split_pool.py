"""Two machines of one pool that do not share their bindings: half of all messages fail, and management says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from support.managed import MGMT, Managed, build_managed
from support.network import EDGE, EXAMPLE, FE1, FE2
from support.running import on_loop, until


@pytest.fixture(name="organisation", scope="module")
def _organisation(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return build_managed(tmp_path_factory.mktemp("s") / "o")


class Split(Managed):
    """Each server has a store of its own, as on a machine of its own."""

    def _share_bindings(self, name: str) -> None:
        """Share nothing."""


@on_loop
async def test_pool_without_a_shared_store_is_a_fault_with_a_remedy(organisation: Organisation, tmp_path: Path) -> None:
    async with Split(organisation, tmp_path) as network:
        await network.start(MGMT, EDGE, FE1, FE2)
        await network.acknowledged(1)
        alice, _ = await network.agent("alice", FE1), await network.agent("bob", FE2)
        assert (await alice.message(f"bob@{EXAMPLE}", "hello")).status == 202
        await until(lambda: not network.nodes[MGMT].outages.names)  # management dials before the others listen
        peers = (await network.ask(MGMT, "network"))["peers"]
        [fault] = next(one["faults"] for one in peers if one["peer"] == "registrations of pool1.example.test")
        assert "pool1.example.test has 2 separate registration stores" in fault["what"]
        assert "define a pool for each machine" in fault["remedy"]
        printed = await network.type("status", code=1)
        assert "✗ registrations of pool1.example.test: pool1.example.test has 2 separate registration stores" in printed
        assert "4 of 4 servers without a fault" in printed


@on_loop
async def test_pool_with_a_shared_store_is_in_order(organisation: Organisation, tmp_path: Path) -> None:
    async with Managed(organisation, tmp_path) as network:
        await network.start(MGMT, EDGE, FE1, FE2)
        await network.acknowledged(1)
        alice, _ = await network.agent("alice", FE1), await network.agent("bob", FE2)
        assert (await alice.message(f"bob@{EXAMPLE}", "hello")).status == 200
        await until(lambda: not network.nodes[MGMT].outages.names)  # management dials before the others listen
        servers = await network.network()
        assert servers[FE1]["faults"] == servers[FE2]["faults"] == []
        assert servers[FE1]["bindings"] == servers[FE2]["bindings"] != ""
        await until(lambda: network.nodes[FE1].registrations.store == network.nodes[FE2].registrations.store)
