"""The clocks of management servers: in a database of a release that compares none, there is none."""

from __future__ import annotations

from database.migrations.adoption import differences, migrate
from sipmesh.database.lease_tables import CLOCKS_SCHEMA
from sipmesh.database.schema import CLOCKS
from storage.databases import shell


def test_no_server_has_compared_its_clock_yet(url: str) -> None:
    migrate(url, CLOCKS)
    assert differences(url, CLOCKS, CLOCKS_SCHEMA) == []
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT count(*) FROM management_clocks").scalar_one() == 0
