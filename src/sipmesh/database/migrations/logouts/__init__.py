"""Revisions of the schema logouts."""
