"""The tables of users: new tables, and those of releases without revisions, are the same afterwards."""

from __future__ import annotations

from database.migrations.adoption import differences, made_in, make_earlier, migrate
from sipmesh.database.schema import MESSAGES, USERS
from sipmesh.storage.users.contact_tables import SCHEMA as CONTACT_SCHEMA
from sipmesh.storage.users.device_tables import SCHEMA as DEVICE_SCHEMA
from sipmesh.storage.users.directory_tables import SCHEMA as DIRECTORY_SCHEMA
from sipmesh.storage.users.ended_ticket_tables import SCHEMA as TICKET_SCHEMA
from sipmesh.storage.users.logout_tables import SCHEMA as LOGOUT_SCHEMA
from sipmesh.storage.users.scim_tables import SCHEMA as SCIM_SCHEMA
from sipmesh.storage.users.user_database import Users
from sipmesh.storage.users.user_tables import SCHEMA
from storage.databases import SQLITE, run, shell

SCHEMAS = (SCHEMA, CONTACT_SCHEMA, DEVICE_SCHEMA, DIRECTORY_SCHEMA, LOGOUT_SCHEMA, SCIM_SCHEMA, TICKET_SCHEMA)
ALICE = "sip:alice@example.test"
HASHES = f"'{'a' * 64}', '{'b' * 32}'"
"""Of a password, by SHA-256 and by MD5."""
_ROW = f"INSERT INTO users VALUES ('{ALICE}', {HASHES}, 3, '2026-01-01 00:00:00.000000', 'pool1.example.test')"  # noqa: S608


def test_new_tables_are_those_that_the_code_expects(url: str) -> None:
    migrate(url, USERS)
    assert differences(url, USERS, SCHEMA) == []


def test_users_of_the_last_release_without_revisions_stay(url: str) -> None:
    make_earlier(url, USERS, _ROW, "UPDATE users_version SET version = 7")
    but = {
        USERS.version_table,
        "users_version",
        "users_devices",
        "users_invitations",
        "users_logouts",
        "devices_schema",
    }
    but |= {"users_directory", "directory_schema", "logouts_schema", "users_classes"}
    but |= {"users_scim", "users_scim_members", "scim_schema"}
    but |= {"users_contacts", "users_contact_changes", "contacts_schema", "ended_tickets", "tickets_schema"}
    before = made_in(url, but)
    users = Users(url)
    assert (users.number, users.home(ALICE)) == (
        8,
        "pool1.example.test",
    )  # 8: each server gets all users again, with the key of v0002
    users.close()
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT call_rules FROM users").all() == [(None,)]
        run(db, "ALTER TABLE users DROP COLUMN call_rules")  # of v0003
    assert made_in(url, but) == before
    with shell(url) as db:
        run(db, "ALTER TABLE users ADD COLUMN call_rules TEXT")
    assert differences(url, USERS, *SCHEMAS) == []


def test_first_release_had_no_home_pools(url: str) -> None:
    with shell(url) as db:
        instant = "DATETIME" if db.dialect.name == SQLITE else "TIMESTAMP WITH TIME ZONE"
        run(
            db,
            "CREATE TABLE users (aor TEXT NOT NULL PRIMARY KEY, ha1_sha256 TEXT, ha1_md5 TEXT,"
            f" generation BIGINT NOT NULL, created {instant} NOT NULL)",
        )
        run(db, f"INSERT INTO users VALUES (:aor, {HASHES}, 3, '2026-01-01 00:00:00.000000')", aor=ALICE)  # noqa: S608
    users = Users(url)
    users.move(ALICE, "pool1.example.test")
    users.close()
    assert differences(url, USERS, *SCHEMAS) == []


def test_two_schemas_share_a_database_with_a_revision_each(url: str) -> None:
    for schema in (USERS, MESSAGES):
        migrate(url, schema)
    with shell(url) as db:
        for schema in (USERS, MESSAGES):
            assert db.exec_driver_sql(f"SELECT version_num FROM {schema.version_table}").all() == [(schema.head,)]  # noqa: S608
