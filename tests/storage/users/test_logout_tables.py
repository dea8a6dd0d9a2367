"""The table of logouts is a schema of its own: the release before opens a database that has it."""

from __future__ import annotations

from sipmesh.database.schema import LOGOUTS, SCHEMAS
from sipmesh.storage.users import device_tables, logout_tables, user_tables


def test_no_earlier_schema_has_the_table() -> None:
    assert LOGOUTS in SCHEMAS
    assert set(logout_tables.SCHEMA.tables) == {"users_logouts"}
    for earlier in (user_tables.SCHEMA, device_tables.SCHEMA):
        assert "users_logouts" not in earlier.tables
