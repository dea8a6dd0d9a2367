"""Revisions of the schema devices."""
