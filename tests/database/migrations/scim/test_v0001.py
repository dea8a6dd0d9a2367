"""Classes by groups, and what SCIM clients have written: tables beside those of users."""

from __future__ import annotations

from database.migrations.adoption import differences, migrate
from sipmesh.database.schema import SCIM
from sipmesh.storage.users.scim_tables import SCHEMA


def test_new_tables_have_the_columns_of_the_code(url: str) -> None:
    migrate(url, SCIM)
    assert differences(url, SCIM, SCHEMA) == []
