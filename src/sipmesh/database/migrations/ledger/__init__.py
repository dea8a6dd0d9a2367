"""Revisions of the schema ledger."""
