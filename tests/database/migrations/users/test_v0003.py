"""The rules of calls: users of the release before have none."""

from __future__ import annotations

from database.migrations.adoption import differences, migrate
from sipmesh.database.schema import USERS
from sipmesh.storage.users.user_tables import SCHEMA
from storage.databases import shell


def test_tables_are_those_that_the_code_expects(url: str) -> None:
    migrate(url, USERS)
    assert differences(url, USERS, SCHEMA) == []
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT call_rules FROM users").all() == []
