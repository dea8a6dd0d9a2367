"""Revisions of the schema contacts."""
