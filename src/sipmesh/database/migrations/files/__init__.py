"""Revisions of the schema files."""
