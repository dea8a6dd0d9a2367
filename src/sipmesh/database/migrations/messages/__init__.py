"""Revisions of the schema messages."""
