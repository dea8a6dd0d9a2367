"""Revisions of the schema users."""
