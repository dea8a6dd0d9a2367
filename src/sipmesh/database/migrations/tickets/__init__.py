"""Revisions of the schema tickets."""
