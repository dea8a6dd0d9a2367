"""Revisions of the schema enrolment."""
