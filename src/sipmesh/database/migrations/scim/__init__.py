"""Revisions of the schema scim."""
