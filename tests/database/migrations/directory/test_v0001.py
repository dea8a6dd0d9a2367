"""Users from a directory: a table beside those of users, which stay as they are."""

from __future__ import annotations

from database.migrations.adoption import differences, migrate
from sipmesh.database.schema import DIRECTORY, USERS
from sipmesh.storage.users.directory_tables import SCHEMA
from storage.databases import shell


def test_new_table_has_the_columns_of_the_code(url: str) -> None:
    migrate(url, DIRECTORY)
    assert differences(url, DIRECTORY, SCHEMA) == []
    migrate(url, USERS)
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT version_num FROM users_schema").scalars().all() == [USERS.head]
        assert not db.exec_driver_sql("SELECT id FROM users_directory").all()
