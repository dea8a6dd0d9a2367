"""The tables of enrolment: made beside those of management, when they are needed."""

from __future__ import annotations

from database.migrations.adoption import differences, migrate
from sipmesh.database.schema import ENROLMENT
from sipmesh.storage.enrolment import enrolment_tables


def test_new_tables_are_those_that_the_code_expects(url: str) -> None:
    for _ in range(2):
        migrate(url, ENROLMENT)
        assert differences(url, ENROLMENT, enrolment_tables.SCHEMA) == []
