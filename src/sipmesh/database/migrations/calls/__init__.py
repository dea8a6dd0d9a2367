"""Revisions of the records of calls."""
