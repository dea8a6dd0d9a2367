"""The tables of a ledger in a file, and of a generation in a shared database."""

from __future__ import annotations

from sipmesh.pki.ledger.tables import tables_of


def test_generation_in_a_shared_database_has_tables_of_its_own() -> None:
    alone, second = tables_of(""), tables_of("ca2_")
    assert [table.name for table in alone.every] == ["facts", "certificates", "lists"]
    assert [table.name for table in second.every] == ["ca2_facts", "ca2_certificates", "ca2_lists"]


def test_certificates_are_in_the_order_of_their_issue() -> None:
    """SQLite numbers the rows itself; PostgreSQL needs a column."""
    alone, second = tables_of(""), tables_of("ca2_")
    assert str(alone.order) == "rowid"
    assert "seq" not in alone.certificates.c
    assert second.order is second.certificates.c.seq
