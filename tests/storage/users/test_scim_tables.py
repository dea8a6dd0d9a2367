"""The tables of SCIM are a schema of their own: the release before opens a database that has them."""

from __future__ import annotations

from sipmesh.database.schema import SCHEMAS, SCIM
from sipmesh.storage.users import directory_tables, scim_tables


def test_no_earlier_schema_has_a_table_of_them() -> None:
    assert SCIM in SCHEMAS
    assert set(scim_tables.SCHEMA.tables) == {"users_classes", "users_scim", "users_scim_members"}
    assert set(directory_tables.SCHEMA.tables) == {"users_directory"}
    assert "classes" not in directory_tables.LINKS.c
