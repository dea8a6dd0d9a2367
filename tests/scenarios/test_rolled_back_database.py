"""An older state of the management database, under servers that run: of a dump, or of a standby without the last commits.

No number is used again with other content, no server accepts an older state, and the log tells the operator. The database is
real.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.database import lease
from sipmesh.demo import forkserver
from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.crl.earlier import number_of
from sipmesh.storage.seen_users import FILE, GO_ON
from support.managed import MGMT, MGMT2
from support.network import EDGE, FE1, FE2
from support.pool import Pool, pool_on
from support.postgres import Cluster
from support.running import until, within

pytestmark = [pytest.mark.peer("postgresql"), pytest.mark.wide]
PATIENCE_S = 120.0
"""Each test starts three servers, dumps and restores a database, and runs commands: on a busy machine that takes a minute."""

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"


@dataclass
class Rolled:
    """A management pool, its database *name* in *cluster*, a dump *before* the last changes, and what was *seen_before* them."""

    pool: Pool
    cluster: Cluster
    name: str
    before: bytes = b""
    seen_before: str = ""

    @property
    def leader(self) -> str:
        """The server that leads."""
        return next(name for name in (MGMT, MGMT2) if name in self.pool.network.services and self.pool.leads(name))

    @property
    def folder(self) -> Path:
        """The folder of the leader."""
        return self.pool.network.folder(self.leader)

    async def begin(self) -> None:
        """Run the pool and a front end, keep a dump, and then change a user and a version."""
        network = self.pool.network
        await network.start(MGMT, MGMT2, FE1)
        await until(
            lambda: {network.number(name) for name in (MGMT, MGMT2, FE1)} == {3}
        )  # which the leader signs again
        await until(lambda: network.nodes[FE1].users.verifier(ALICE))
        self.before = self.cluster.dump(self.name)
        self.seen_before = (network.folder(self.leader) / FILE).read_text("utf-8")
        await network.ask(MGMT, "block", name="evil.test")
        assert await self.typed("user", "password", "alice", "--password-stdin", typed="new-secret") == (0, "")
        await until(lambda: network.nodes[FE1].user_updates.number == 3)
        await until(lambda: {network.number(name) for name in (MGMT, MGMT2, FE1)} == {4})
        # the next leader reads the database at intervals
        await until(lambda: self.seen(MGMT) == self.seen(MGMT2) == 3)

    def seen(self, server: str) -> int:
        """The highest number of the users that the host of *server* has seen."""
        return int((self.pool.network.folder(server) / FILE).read_text("utf-8").split()[0])

    async def roll_back(self) -> None:
        """Restore the dump under them, and wait until the leader tells of it."""
        self.cluster.restore(self.name, self.before)
        await until(lambda: len(self.told()) == 2)

    def told(self) -> list[str]:
        """The faults of the database, as `sipmesh status` shows them."""
        return [fault.what for fault in self.pool.controller(self.leader).own_faults.of_pool() if fault.remedy == GO_ON]

    async def typed(self, *arguments: str, typed: str = "") -> tuple[int, str]:
        """Run a command on the host of the leader; gives its status and, if it fails, what it says."""
        status, printed = await asyncio.to_thread(forkserver.run, arguments, self.folder, typed, COLUMNS="200")
        return status, printed if status else ""

    async def stop_leader(self) -> tuple[str, str]:
        """Stop the leader; gives its name, and that of the other management server."""
        overtaken = self.leader
        await self.pool.network.stop(overtaken)
        return overtaken, MGMT2 if overtaken == MGMT else MGMT

    async def go_on(self) -> int:
        """Go on from the older state, as the remedy says."""
        while True:
            plan = await self.pool.network.ask(self.leader, "plan")
            given = {"why": "on", "base": plan["base"], "digest": plan["digest"], "overtake": True, "timeout_s": 30.0}
            try:
                return int((await self.pool.network.ask(self.leader, "publish", **given))["version"])
            except OperatorError as wrong:  # it may be about to read what the other one left
                if "try again in a few seconds" not in str(wrong):
                    raise
                await asyncio.sleep(0.5)


@pytest.fixture(name="rolled")
def _rolled(tmp_path: Path, postgres_url: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Rolled:
    monkeypatch.setattr(lease, "LEASE_S", 600.0)  # the lease in the dump is not over: the same server leads
    monkeypatch.setattr(lease, "LONGEST_LEASE_S", 1200.0)
    return Rolled(pool_on(tmp_path, postgres_url), cluster, postgres_url.rpartition("@/")[2].partition("?")[0])


@within(PATIENCE_S)
async def test_older_state_gives_no_number_again_until_an_operator_goes_on_from_it(rolled: Rolled) -> None:
    """A change of bob got the number that a change of alice had had: no server ever got it, and no status said so."""
    network = rolled.pool.network
    async with network:
        await rolled.begin()
        users = network.nodes[FE1].users
        changed = users.verifier(ALICE)
        await rolled.roll_back()
        version, of_users = rolled.told()
        assert "lacks version 4, which is in force" in version
        assert "its number is 2, and 3 was seen here" in of_users
        with pytest.raises(OperatorError, match="lacks version 4"):
            await network.ask(rolled.leader, "block", name="worse.test")
        status, printed = await rolled.typed("user", "password", "bob", "--password-stdin", typed="new-secret")
        assert status == 1
        assert "its number is 2, and 3 was seen here" in printed
        assert (network.nodes[FE1].user_updates.number, users.verifier(ALICE), network.number(FE1)) == (3, changed, 4)
        assert await rolled.go_on() == 5
        await until(lambda: network.number(FE1) == 5 and users.verifier(ALICE) != changed)
        of_bob = users.verifier(BOB)
        assert await rolled.typed("user", "password", "bob", "--password-stdin", typed="new-secret") == (0, "")
        await until(lambda: users.verifier(BOB) != of_bob)
        await until(lambda: not rolled.told())


@within(PATIENCE_S)
async def test_newer_state_that_is_brought_back_counts_again(rolled: Rolled) -> None:
    network = rolled.pool.network
    async with network:
        await rolled.begin()
        newer = rolled.cluster.dump(rolled.name)
        await rolled.roll_back()
        rolled.cluster.restore(rolled.name, newer)
        await until(lambda: rolled.pool.leads(rolled.leader) and not rolled.told())
        of_bob = network.nodes[FE1].users.verifier(BOB)
        assert await rolled.typed("user", "password", "bob", "--password-stdin", typed="new-secret") == (0, "")
        await until(lambda: network.nodes[FE1].users.verifier(BOB) != of_bob)


@within(PATIENCE_S)
async def test_revocation_and_crl_numbers_outlive_the_older_state(rolled: Rolled) -> None:
    """The ledger knows neither the revocation of before nor the number of its CRL: the CRL on the host does."""
    network = rolled.pool.network
    async with network:
        await rolled.begin()
        CaGenerations(rolled.folder / "ca").revoke_servers((FE2,), Reason.KEY_COMPROMISE, datetime.now(UTC))
        crls = [network.folder(name) / "ca" / "issuing.crl" for name in (MGMT, MGMT2, FE1)]
        before = (rolled.folder / "ca" / "issuing.crl").read_bytes()
        await until(lambda: all(file.read_bytes() == before for file in crls))
        await rolled.roll_back()
        CaGenerations(rolled.folder / "ca").revoke_servers((EDGE,), Reason.KEY_COMPROMISE, datetime.now(UTC))
        first = x509.load_pem_x509_crl(before)
        await until(lambda: number_of(x509.load_pem_x509_crl(crls[-1].read_bytes())) > number_of(first))
        second = x509.load_pem_x509_crl(crls[-1].read_bytes())
        assert {one.serial_number for one in first} < {one.serial_number for one in second}


@within(PATIENCE_S)
async def test_server_that_takes_over_an_older_state_says_so_too(rolled: Rolled) -> None:
    network = rolled.pool.network
    async with network:
        await rolled.begin()
        await rolled.roll_back()
        overtaken, other = await rolled.stop_leader()
        rolled.pool.end_lease()
        await until(lambda: rolled.pool.leads(other) and len(rolled.told()) == 2)
        assert (network.nodes[FE1].user_updates.number, network.number(FE1)) == (3, 4)
        with pytest.raises(OperatorError, match="this is another history of versions"):
            await network.start(overtaken)


@within(PATIENCE_S)
async def test_server_that_never_saw_the_newer_users_learns_of_them_from_the_front_end(rolled: Rolled) -> None:
    """The database fails over, and its leader ends, before the other management server has read the change."""
    network = rolled.pool.network
    async with network:
        await rolled.begin()
        await rolled.roll_back()
        _, other = await rolled.stop_leader()
        (network.folder(other) / FILE).write_text(rolled.seen_before, "utf-8")
        rolled.pool.end_lease()
        said = f"{FE1} has users of number 3, which the database, at 2, lacks"
        await until(lambda: rolled.pool.controller(other).leadership.is_ready and said in rolled.told())
        of_bob = network.nodes[FE1].users.verifier(BOB)
        assert await rolled.go_on() == 5
        assert await rolled.typed("user", "password", "bob", "--password-stdin", typed="new-secret") == (0, "")
        await until(lambda: network.nodes[FE1].users.verifier(BOB) != of_bob and not rolled.told())
