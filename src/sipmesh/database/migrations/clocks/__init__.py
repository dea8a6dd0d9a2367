"""Revisions of the schema clocks."""
