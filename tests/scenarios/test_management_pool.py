"""Two management servers on one PostgreSQL database: one leads, the other takes over, and nothing that was overtaken counts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sipmesh.database import lease
from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.storage.management_db import ManagementDb
from support.forged_time import LIBRARY
from support.managed import MGMT, MGMT2
from support.network import EDGE, FE1, FE2
from support.pool import Pool, build_pool
from support.running import on_loop, until

pytestmark = [pytest.mark.peer("postgresql"), pytest.mark.wide]


@pytest.fixture(name="pool")
def _pool(tmp_path: Path, postgres_url: str) -> Pool:
    organisation, entry = build_pool(tmp_path / "m")
    return Pool.make(organisation, entry, tmp_path, postgres_url)


@on_loop
async def test_second_server_takes_over_publishes_and_revokes_and_the_first_follows_it(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_S", 600.0)  # on a busy machine both servers wait longer than the lease
    monkeypatch.setattr(lease, "LONGEST_LEASE_S", 1200.0)  # a lease with more left is free
    network = pool.network
    async with network:
        await network.start(MGMT, FE1, EDGE)
        await network.in_force(2, FE1, EDGE)
        pool.join()
        await pool.join_pool()
        ca, copy = network.folder(MGMT) / "ca", network.folder(MGMT2) / "ca"
        for name in ("root.pem", "root.key", "issuing.pem", "issuing.key"):
            assert (copy / name).read_bytes() == (ca / name).read_bytes()
        assert (copy / "issuing.key").stat().st_mode & 0o777 == 0o600
        await network.start(MGMT2)
        assert (pool.leads(MGMT), pool.leads(MGMT2)) == (True, False)
        assert await pool.publish(MGMT) == 3
        await network.in_force(3)
        with pytest.raises(OperatorError, match=f"{MGMT} leads the management pool, with fencing number"):
            await pool.publish(MGMT2)
        await until(lambda: all(member.version == 3 for member in pool.controller(MGMT).leadership.members))
        told = await network.ask(MGMT, "network")
        assert [(one["server"], one["version"], one["fencing"] > 0) for one in told["managers"]] == [
            (MGMT, 3, True),
            (MGMT2, 3, False),
        ]
        await network.stop(MGMT)  # as a crash: the lease is not released
        pool.end_lease()
        await until(lambda: pool.leads(MGMT2))
        await network.in_force(4, MGMT2, FE1, EDGE)
        assert await pool.publish(MGMT2) == 5
        await network.in_force(5, MGMT2, FE1, EDGE)
        generations = CaGenerations(copy)
        revoked = generations.revoke_servers((FE2,), Reason.KEY_COMPROMISE, datetime.now(UTC))
        assert revoked
        crl = (copy / "issuing.crl").read_bytes()
        await until(lambda: (network.folder(FE1) / "ca" / "issuing.crl").read_bytes() == crl)
        await network.start(MGMT)
        assert not pool.leads(MGMT)
        assert network.number(MGMT) == 5
        await until(lambda: (ca / "issuing.crl").read_bytes() == crl)
        with pytest.raises(OperatorError, match=MGMT2):
            await pool.publish(MGMT)
        history = ManagementDb(network.folder(MGMT2))
        assert history.history.verify() == []
        assert [version.number for version in history.history.list()] == [1, 2, 3, 4, 5]
        history.close()


@contextmanager
def second_server(pool: Pool, clock: Path) -> Iterator[None]:
    """Run `MGMT2` as a process, whose clock is set by the text in the file *clock*."""
    faked = {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    command = [sys.executable, "-m", "sipmesh", "serve", MGMT2]
    file = pool.network.folder(MGMT2) / "topology.yaml"
    with (
        (file.parent / "log").open("wb") as log,
        subprocess.Popen(
            [*command, "--topology", str(file)], env=os.environ | faked, stdin=subprocess.PIPE, stdout=log, stderr=log
        ) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


def set_clock(file: Path, to: str) -> None:
    """Set a clock: *to* is the difference to the right time, as libfaketime writes it."""
    file.with_suffix(".new").write_text(to)
    file.with_suffix(".new").replace(file)


async def faults_of_management(pool: Pool) -> list[dict[str, Any]]:
    """What `sipmesh status` and the console show for the leader."""
    told: list[dict[str, Any]] = (await pool.network.ask(MGMT, "network"))["master"]["faults"]
    return told


@pytest.mark.skipif(not LIBRARY.exists(), reason="needs faketime, which tools/peers installs")
@pytest.mark.parametrize(("to", "side"), [("+1h", "ahead of"), ("-1h", "behind")])
@on_loop
async def test_server_of_the_pool_with_a_wrong_clock_is_one_fault_until_its_clock_is_set(
    pool: Pool, tmp_path: Path, to: str, side: str
) -> None:
    """It does not lead, so no other server has a link to it."""
    clock = tmp_path / "clock"
    set_clock(clock, to)
    async with pool.network as network:
        await network.start(MGMT, FE1, EDGE)
        await network.in_force(2, FE1, EDGE)
        pool.join()
        await pool.join_pool()
        assert await faults_of_management(pool) == []
        with second_server(pool, clock):
            await until(lambda: len(pool.controller(MGMT).own_faults.clocks_s()) == 1)
            [fault] = await faults_of_management(pool)
            assert fault["what"].startswith(f"the clock of {MGMT2} of the management pool is 3")
            assert fault["what"].endswith(f"s {side} that of management")
            assert (fault["remedy"], fault["code"]) == (f"set the clock of {MGMT2}, for example by NTP", "clock")
            set_clock(clock, "+0")
            await until(lambda: abs(pool.controller(MGMT).own_faults.clocks_s()[MGMT2]) < 5)
            assert await faults_of_management(pool) == []
