"""PostgreSQL is away, hangs, or is started again under a management pool: the servers go on, and the log tells the operator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from support.managed import MGMT
from support.network import FE1
from support.pool import Pool, build_pool
from support.postgres import Cluster
from support.running import on_loop, until

pytestmark = [pytest.mark.peer("postgresql"), pytest.mark.wide]
SHORT = "connect_timeout=2"
"""Seconds, the least that libpq knows."""

EVIL = "evil.test"
USERS = ("sip:alice@example.test", "sip:bob@example.test")
ANSWER_S = 60.0


@pytest.fixture(name="pool")
def _pool(tmp_path: Path, postgres_url: str) -> Pool:
    organisation, entry = build_pool(tmp_path / "m")
    return Pool.make(organisation, entry, tmp_path, f"{postgres_url}&{SHORT}")


@contextmanager
def stopped(cluster: Cluster) -> Iterator[None]:
    """Stop the server, with each connection, and start it again."""
    cluster.stop()
    try:
        yield
    finally:
        cluster.start()


def hung(cluster: Cluster) -> AbstractContextManager[None]:
    """Let the server take no new connection."""
    return cluster.hung()


@pytest.mark.parametrize("away", [stopped, hung])
@on_loop
async def test_network_goes_on_and_management_publishes_again_afterwards(
    pool: Pool, cluster: Cluster, away: Callable[[Cluster], AbstractContextManager[None]]
) -> None:
    network = pool.network
    async with network:
        await network.start(MGMT, FE1)
        await until(lambda: network.number(FE1) == network.number(MGMT))
        await until(lambda: all(map(network.nodes[FE1].users.verifier, USERS)))
        alice, number = await network.agent("alice", FE1), network.number(MGMT)
        with away(cluster):
            await until(lambda: bool(pool.controller(MGMT).leadership.fault))
            blocking = asyncio.create_task(network.ask(MGMT, "block", name=EVIL, timeout_s=ANSWER_S))
            told = await network.ask(MGMT, "network")
            [fault] = next(one["faults"] for one in told["peers"] if one["peer"] == "management database")
            assert "cannot be used" in fault["what"]
            assert "nothing can be published or revoked until it answers" in fault["remedy"]
            bob = await network.agent("bob", FE1)
            assert (await bob.message("alice@example.test", "still here")).status == 200
            with pytest.raises(OperatorError, match="cannot be used"):
                await blocking
        await until(lambda: not pool.controller(MGMT).leadership.fault)
        assert (await network.ask(MGMT, "block", name=EVIL))["version"] == number + 1
        await until(lambda: network.number(FE1) == number + 1)
        assert (await alice.register()).status == 200


@on_loop
async def test_loop_of_management_goes_on_while_a_command_waits_for_a_database_that_hangs(
    tmp_path: Path, postgres_url: str, cluster: Cluster
) -> None:
    pool = Pool.make(*build_pool(tmp_path / "m"), tmp_path, postgres_url)
    network = pool.network
    async with network:
        await network.start(MGMT)
        turn = pool.controller(MGMT).publisher.turn
        with cluster.hung():
            blocking = asyncio.create_task(network.ask(MGMT, "block", name=EVIL, timeout_s=ANSWER_S))
            await until(lambda: turn.locked() or blocking.done())
            await network.ask(MGMT, "status")
            assert turn.locked()
        with suppress(OperatorError):  # it had 5 s for a connection
            await blocking
