"""PostgreSQL is slow, loses segments, is cut off, or has one process that hangs: what management and users see.

`-s` prints the table.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psycopg
import pytest

from sipmesh.client.agent import UserAgent
from sipmesh.errors import OperatorError
from support.bad_network import BadNetwork, in_thread
from support.managed import MGMT
from support.network import FE1
from support.pool import Pool, build_pool
from support.postgres import OWNER, PASSWORD, Cluster
from support.running import LOOK_AGAIN_S, until, within

pytestmark = [pytest.mark.peer("postgresql"), pytest.mark.soak]
PATIENCE_S = 400
ANSWER_S = 120.0
_LOCK = "SELECT * FROM management_lease FOR UPDATE"
_WAITS = """SELECT pid FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database() AND pid <> pg_backend_pid()"""


@contextmanager
def behind_bad_network(cluster: Cluster, url: str) -> Iterator[tuple[BadNetwork, str]]:
    """Give a network to the database of *url*, and the URL through it."""
    database = url.partition("@/")[2].partition("?")[0]
    with in_thread(BadNetwork(cluster.folder / ".s.PGSQL.5432")) as network:
        port = network.address[1]
        yield network, f"postgresql+psycopg://{OWNER}:{PASSWORD}@127.0.0.1:{port}/{database}?connect_timeout=5"


async def publishes(pool: Pool, what: str) -> float:
    """Publish a version, and return how many seconds it took."""
    began = time.monotonic()
    number = pool.network.number(MGMT)
    answer = await pool.network.ask(MGMT, "block", name=f"{what}.test", timeout_s=ANSWER_S)
    assert answer["version"] > number
    took_s = time.monotonic() - began
    await until(lambda: pool.network.number(FE1) == answer["version"])
    return took_s


@pytest.mark.parametrize("loss", [0.0, 0.05])
@within(PATIENCE_S)
async def test_slow_database_delays_a_publication_and_refuses_nothing(
    tmp_path: Path, cluster: Cluster, postgres_url: str, loss: float
) -> None:
    """200 ms each way: a new connection and a transaction take some seconds."""
    with behind_bad_network(cluster, postgres_url) as (between, url):
        async with serving(tmp_path, url) as (pool, bob):
            before_s = await publishes(pool, "before")
            between.delay_s, between.loss = 0.2, loss
            slow_s = await publishes(pool, "slow")
            assert (await bob.message("alice@example.test", "still here")).status == 200
            assert (await bob.register()).status == 200
            between.delay_s = between.loss = 0.0
            after_s = await publishes(pool, "after")
            print(f"\n200 ms, loss {loss} | 200 | {before_s:.1f} | {slow_s:.1f} | {after_s:.1f}")  # noqa: T201


@within(PATIENCE_S)
async def test_database_that_is_cut_off_stops_only_publishing(
    tmp_path: Path, cluster: Cluster, postgres_url: str
) -> None:
    with behind_bad_network(cluster, postgres_url) as (between, url):
        async with serving(tmp_path, url) as (pool, bob):
            between.split()
            await stays_usable_without(pool, "split")
            assert (await bob.message("alice@example.test", "still here")).status == 200
            between.heal()
            await until(lambda: not pool.controller(MGMT).leadership.fault)
            await publishes(pool, "after")


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop one process of the database, which goes on afterwards."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def serving(tmp_path: Path, url: str) -> AsyncIterator[tuple[Pool, UserAgent]]:
    """Run management and a front end; alice and bob have a phone there, and that of bob is given."""
    pool = Pool.make(*build_pool(tmp_path / "m"), tmp_path, url)
    async with pool.network as network:
        await network.start(MGMT, FE1)
        await until(lambda: network.number(FE1) == network.number(MGMT))
        await network.agent("alice", FE1)
        yield pool, await network.agent("bob", FE1)


@within(PATIENCE_S)
async def test_process_of_the_database_that_hangs_holds_up_one_use_only(tmp_path: Path, postgres_url: str) -> None:
    """The renewal of the lease hangs, and ends here after `use_s`; the next one gets another process."""
    direct = postgres_url.replace("+psycopg", "")
    async with serving(tmp_path, postgres_url) as (pool, bob):
        with psycopg.connect(direct) as locking, psycopg.connect(direct, autocommit=True) as looking:
            locking.execute(_LOCK)
            while not (waiting := looking.execute(_WAITS).fetchone()):
                await asyncio.sleep(LOOK_AGAIN_S)
            began = time.monotonic()
            with stopped(waiting[0]):
                locking.rollback()
                assert (await bob.message("alice@example.test", "still here")).status == 200
                await publishes(pool, "meanwhile")
                print(f"\none process hangs | published after {time.monotonic() - began:.1f} s")  # noqa: T201
        await publishes(pool, "after")


@within(PATIENCE_S)
async def test_process_of_the_database_that_hangs_with_the_lease_stops_only_publishing(
    tmp_path: Path, postgres_url: str
) -> None:
    async with serving(tmp_path, postgres_url) as (pool, bob):
        with psycopg.connect(postgres_url.replace("+psycopg", "")) as locking:
            locking.execute(_LOCK)
            with stopped(locking.info.backend_pid):
                await stays_usable_without(pool, "one process hangs with the lease")
                assert (await bob.message("alice@example.test", "still here")).status == 200
            locking.rollback()
        await until(lambda: not pool.controller(MGMT).leadership.fault)
        await publishes(pool, "after")


async def stays_usable_without(pool: Pool, what: str) -> None:
    """See that management notices the database, answers its status, and refuses to publish in bounded time."""
    began = time.monotonic()
    await until(lambda: bool(pool.controller(MGMT).leadership.fault))
    noticed_s = time.monotonic() - began
    told = await pool.network.ask(MGMT, "network")
    assert any("cannot be used" in fault["what"] for fault in told["master"]["faults"])
    began = time.monotonic()
    with pytest.raises(OperatorError, match="cannot be used"):
        await pool.network.ask(MGMT, "block", name="evil.test", timeout_s=ANSWER_S)
    print(f"\n{what} | noticed after {noticed_s:.1f} s | publishing refused after {time.monotonic() - began:.1f} s")  # noqa: T201
