"""The databases of a run: with a clock of their own, not always there, and brought back to an earlier state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pytest

from simulation.databases import Databases
from simulation.processes import Process, within
from sipmesh.database.lease import Lease
from sipmesh.database.shared import SharedDatabase
from sipmesh.errors import OperatorError

URL = "postgresql+psycopg://database/management"
BEGAN_S = 1_893_456_000.0


class Hosts:
    """Two hosts of a management pool, whose clocks are wrong, and the database server of both."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.databases = Databases(folder, lambda: BEGAN_S + self.now, lambda wall: wall())
        self.processes = {name: Process(name, str(folder)) for name in ("mgmt", "mgmt2")}

    def claim(self, name: str) -> int:
        """Let a host claim the lease; return its fencing number, 0 if another host leads."""
        return within(self.processes[name]).run(self._claim, name)

    @staticmethod
    def _claim(name: str) -> int:
        shared = SharedDatabase(URL, name)
        lease = shared.lease(shared.open())
        return lease.fencing if lease.claim() else 0


@pytest.fixture(name="hosts")
def _hosts(tmp_path: Path) -> Iterator[Hosts]:
    hosts = Hosts(tmp_path / "databases")
    with ExitStack() as stack:
        for target, name, replacement in hosts.databases.replacements():
            stack.enter_context(patch.object(target, name, replacement))
        yield hosts
        hosts.databases.end()


def test_a_lease_ends_by_the_clock_of_the_database(hosts: Hosts) -> None:
    """The second host leads once the time of the lease is over, with the next number; the first one has lost it then."""
    assert (hosts.claim("mgmt"), hosts.claim("mgmt2")) == (1, 0)
    hosts.now = 6.0
    assert (hosts.claim("mgmt2"), hosts.claim("mgmt")) == (2, 0)


def test_each_process_has_a_lease_of_its_own(hosts: Hosts) -> None:
    """The next process of a host does not have the number of the process before in its memory."""
    hosts.claim("mgmt")
    hosts.processes["mgmt"] = Process("mgmt", "")
    made = within(hosts.processes["mgmt"]).run(
        lambda: SharedDatabase(URL, "mgmt").lease(SharedDatabase(URL, "mgmt").open())
    )
    assert isinstance(made, Lease)
    assert made.fencing == 0


@pytest.mark.parametrize("one_only", [False, True])
def test_a_database_server_that_does_not_answer_is_an_error(hosts: Hosts, *, one_only: bool) -> None:
    """It answers no host, or it does not answer one of them."""
    hosts.claim("mgmt")
    if one_only:
        hosts.databases.cut.add(("mgmt", "management"))
        assert hosts.claim("mgmt2") == 0
    else:
        hosts.databases.down.add("management")
    with pytest.raises(OperatorError, match="connection failed"):
        hosts.claim("mgmt")


def test_an_older_state_has_what_was_committed_until_then(hosts: Hosts) -> None:
    """Without its own memory of the number, the leader would use it again."""
    hosts.claim("mgmt")
    dump = hosts.databases.dump("management")
    hosts.now = 6.0
    assert hosts.claim("mgmt2") == 2
    hosts.databases.restore("management", dump)
    hosts.processes["mgmt2"] = Process("mgmt2", "")
    hosts.now = 12.0
    assert hosts.claim("mgmt2") == 2
