"""The contacts of users: in a database of a release that knows none, no user has any."""

from __future__ import annotations

from database.migrations.adoption import differences, migrate
from sipmesh.database.schema import CONTACTS
from sipmesh.storage.users.contact_tables import SCHEMA
from storage.databases import shell


def test_no_user_has_contacts_yet(url: str) -> None:
    migrate(url, CONTACTS)
    assert differences(url, CONTACTS, SCHEMA) == []
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT count(*) FROM users_contacts").scalar_one() == 0
