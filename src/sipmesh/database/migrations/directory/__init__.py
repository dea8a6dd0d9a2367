"""Revisions of the schema directory."""
