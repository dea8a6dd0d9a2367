"""The tables of the records of calls."""

from __future__ import annotations

from database.migrations.adoption import differences, migrate
from sipmesh.database.schema import CALLS
from sipmesh.storage.call_records import call_tables


def test_new_tables_are_those_that_the_code_expects(url: str) -> None:
    migrate(url, CALLS)
    assert differences(url, CALLS, call_tables.SCHEMA) == []
