"""Revisions of the schema management."""
