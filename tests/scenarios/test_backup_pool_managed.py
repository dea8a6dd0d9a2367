"""A backup pool whose users come from management, and one whose servers are processes that are killed."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.admin.status_report import status_of
from sipmesh.storage.users.replicated_users import ReplicatedUsers
from support.backing import back
from support.managed import MGMT, Managed
from support.network import FE1, FE2, FE3, POOL, POOL2, Network, copied, text
from support.process import serving, spawn
from support.running import on_loop, until

ALICE = "sip:alice@example.test"


def known(network: Managed, server: str) -> ReplicatedUsers:
    """The users that a server has from documents."""
    users = network.nodes[server].users
    assert isinstance(users, ReplicatedUsers)
    return users


@pytest.mark.wide
@on_loop
async def test_backup_pool_serves_by_the_documents_that_it_got_beforehand(managed: Managed) -> None:
    """Management may be gone too by then. Before the version that pairs the pools, no server of the other pool knew alice."""

    def paired(document: dict[str, Any]) -> None:
        pool = next(pool for pool in document["pools"] if pool["name"] == POOL)
        pool |= {"backup_pool": POOL2, "takeover_after": 2}

    async with managed:
        await managed.start(MGMT, FE1, FE3)
        await until(lambda: known(managed, FE3).home(ALICE) == POOL)
        assert known(managed, FE3).verifier(ALICE) is None
        await managed.publish(paired)
        await until(lambda: known(managed, FE3).verifier(ALICE))
        await managed.stop(MGMT, FE1)
        await until(lambda: managed.nodes[FE3].takeovers.pools)
        assert status_of(managed.nodes[FE3]).taken_over == (POOL,)
        alice, bob = await managed.agent("alice", FE3), await managed.agent("bob", FE3)
        assert (await alice.message(bob.party.aor, "hello")).ok
        assert (await text(bob)).identity == ALICE
        await managed.start(FE1)
        await alice.gone()
        await managed.agent("alice", FE1)
        assert managed.nodes[FE1].registrations.count() >= 1


@pytest.mark.soak
@on_loop
async def test_killed_processes_of_a_pool_are_taken_over_and_given_back(
    two_pools_model: Organisation, tmp_path: Path
) -> None:
    example = copied(two_pools_model, tmp_path / "e")
    back(example, after_s=2)
    async with (
        Network((example,)) as network,
        serving(example, FE1) as one,
        serving(example, FE2) as two,
        serving(example, FE3) as backup,
    ):
        bob = await network.agent("bob", FE3)
        alice = await network.agent("alice", FE1)
        for server in (one, two):
            await server.end(signal.SIGKILL)
        await alice.gone()
        await until(lambda: "pool taken over" in backup.log)
        alice = await network.agent("alice", FE3)
        assert (await bob.message(alice.party.aor, "hello")).ok
        assert (await text(alice)).text == "hello"
        again = await spawn(example, FE1)
        try:
            await again.ready()
            await alice.gone()
            assert "pool given back" in backup.log
            alice = await network.agent("alice", FE3)
            assert (await bob.message(alice.party.aor, "back")).ok
            assert (await text(alice)).text == "back"
        finally:
            again.started.kill()
            await again.started.waited()
