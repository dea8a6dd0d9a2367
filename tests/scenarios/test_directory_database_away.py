"""PostgreSQL stops in the middle of a sync of a directory, and starts again: each user is there once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sql

from sipmesh.database.shared import SharedDatabase
from sipmesh.errors import OperatorError
from sipmesh.server.management.directory_sync import directory_sync
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users.directory_entry import StepKind
from sipmesh.storage.users.user_database import Users
from support.directory_ca import HOST, DirectoryCa
from support.managed import MGMT
from support.openldap import OpenLdap, write_password
from support.pool import pool_on
from support.postgres import Cluster

pytestmark = [pytest.mark.peer("postgresql"), pytest.mark.peer("openldap"), pytest.mark.wide]

COUNT: Final = 450
"""Three transactions."""


@pytest.mark.parametrize("commit", range(1, 7))
def test_sync_ends_with_the_database_and_the_next_one_finishes_it(
    tmp_path: Path, postgres_url: str, cluster: Cluster, commit: int
) -> None:
    """At each commit of the three transactions, and of their lines in the audit log."""
    pool, ca = pool_on(tmp_path, f"{postgres_url}&connect_timeout=2"), DirectoryCa()
    organisation = pool.network.organisation
    with OpenLdap(tmp_path / "ldap", ca.server(HOST)) as ldap:
        write_password(organisation.folder)
        for number in range(COUNT):
            ldap.person(f"u{number}", telephoneNumber=f"+4930{number:04}")
        organisation.document["directory"] = ldap.keys(**ca.write(organisation.folder))
        organisation.write()
        loaded, left = organisation.load(), [commit]
        pool.end_lease()
        users = Users(loaded.users_url, in_memory=False)
        database = ManagementDb(organisation.folder, SharedDatabase(pool.url, MGMT))
        assert database.lease.claim()
        sync = directory_sync(loaded, users, database, "directory")

        def stop(_: object) -> None:
            left[0] -= 1
            if not left[0]:
                cluster.stop()

        looked = sync.look(at := datetime.now(UTC))
        sql.event.listen(sql.Engine, "commit", stop)
        try:
            with pytest.raises(OperatorError, match="cannot be used"):
                sync.take(looked, at)
        finally:
            sql.event.remove(sql.Engine, "commit", stop)
            cluster.start()
        pool.end_lease()
        assert database.lease.claim()
        taken = sync.take(sync.look(at := datetime.now(UTC)), at)
        assert (set(taken.steps) <= {StepKind.ADD}, taken.conflicts) == (True, [])
        found = [user.aor for user in users.list()]
        names = {f"sip:u{number}@example.test" for number in range(COUNT)}
        assert sorted(found) == sorted({*names, "sip:alice@example.test", "sip:bob@example.test"})
        lines = Counter(f"sip:{line.about['user']}" for line in database.audit.read() if "directory" in line.about)
        assert lines.keys() == names
        assert max(lines.values()) <= 2
        users.close()
        database.close()
