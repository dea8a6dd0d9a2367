"""Devices and invitations: tables beside those of users, which stay as they are."""

from __future__ import annotations

from database.migrations.adoption import differences, migrate
from sipmesh.database.schema import DEVICES, USERS
from sipmesh.storage.users.device_tables import SCHEMA
from storage.databases import shell


def test_new_tables_are_those_that_the_code_expects(url: str) -> None:
    migrate(url, DEVICES)
    assert differences(url, DEVICES, SCHEMA) == []


def test_revision_of_the_users_stays_so_that_an_earlier_release_can_serve_them(url: str) -> None:
    for schema in (USERS, DEVICES):
        migrate(url, schema)
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT version_num FROM users_schema").scalars().all() == [USERS.head]
        assert not db.exec_driver_sql("SELECT device FROM users_devices").all()
        assert not db.exec_driver_sql("SELECT id FROM users_invitations").all()
