"""The tables of a ledger: in a file, and with the prefix of a generation in a shared database."""

from __future__ import annotations

import pytest

from database.migrations.adoption import differences, made_in, make_earlier, migrate
from sipmesh.database.schema import LEDGER, Schema
from sipmesh.pki.ledger.tables import tables_of
from storage.databases import BOTH, SQLITE, shell


def schema_in(url: str) -> Schema:
    return LEDGER if url.startswith(SQLITE) else LEDGER.with_prefix("ca1_")


def test_new_tables_are_those_that_the_code_expects(url: str) -> None:
    schema = schema_in(url)
    migrate(url, schema)
    assert differences(url, schema, tables_of(schema.prefix).facts.metadata) == []


def test_ledger_of_the_last_release_without_revisions_stays(url: str) -> None:
    schema = schema_in(url)
    make_earlier(url, schema, f"INSERT INTO {schema.prefix}facts VALUES ('name', 'Example')")  # noqa: S608
    before = made_in(url)
    migrate(url, schema)
    assert made_in(url, {schema.version_table}) == before
    with shell(url) as db:
        assert db.exec_driver_sql(f"SELECT value FROM {schema.prefix}facts").all() == [("Example",)]  # noqa: S608


@pytest.mark.parametrize("url", BOTH[1:], indirect=True)
def test_generations_of_a_ca_have_their_own_tables_and_revisions(url: str) -> None:
    for prefix in ("ca1_", "ca2_"):
        migrate(url, LEDGER.with_prefix(prefix))
    metadata = [tables_of(prefix).facts.metadata for prefix in ("ca1_", "ca2_")]
    others = [found for found in differences(url, LEDGER.with_prefix("ca1_"), *metadata) if found[0] != "remove_table"]
    assert others == []
