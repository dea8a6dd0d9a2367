"""A server joins the management pool only after it has joined the network, as a management server."""

from __future__ import annotations

import pytest

from sipmesh.database.shared import FILE, SharedDatabase
from sipmesh.errors import OperatorError
from sipmesh.server.management.pool.file_replication import FileGiver
from sipmesh.server.management.pool.joining import join_pool
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.view import view
from support.managed import MGMT, MGMT2
from support.network import FE1
from support.pool import Pool
from support.postgres import PASSWORD, Cluster

pytestmark = pytest.mark.peer("postgresql")


@pytest.mark.wide
def test_server_gets_the_ca_when_the_leader_has_sealed_it(pool: Pool) -> None:
    pool.join()
    folder, shared = pool.network.folder(MGMT2), SharedDatabase(pool.url, MGMT2)
    assert not join_pool(folder, shared)
    leader = ManagementDb(pool.network.folder(MGMT))
    leader.lease.must_lead()
    FileGiver(leader).give(view(pool.network.organisation.load(), MGMT))
    leader.close()
    assert join_pool(folder, shared)
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert (folder / "ca" / "issuing.key").is_file()


@pytest.mark.parametrize(("server", "why"), [(MGMT2, "has not joined the network"), (FE1, "is no management server")])
def test_other_servers_are_refused_and_nothing_is_written(pool: Pool, server: str, why: str) -> None:
    if server == FE1:
        pool.network.join(FE1)
    folder = pool.network.folder(server)
    with pytest.raises(OperatorError, match=why):
        join_pool(folder, SharedDatabase(pool.url, server))
    assert not (folder / FILE).exists()


def test_database_without_a_version_is_another_one_and_is_not_stored(pool: Pool, cluster: Cluster) -> None:
    """The command would otherwise wait for a leader that does not use it."""
    pool.join()
    folder = pool.network.folder(MGMT2)
    with cluster.database() as empty, pytest.raises(OperatorError, match="has no version of the topology") as refused:
        join_pool(folder, SharedDatabase(empty, MGMT2))
    assert PASSWORD not in str(refused.value)
    assert not (folder / FILE).exists()
    assert not join_pool(folder, SharedDatabase(pool.url, MGMT2))
