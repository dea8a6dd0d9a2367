"""Each column that a question reads has an index."""

from __future__ import annotations

import sqlalchemy as sql

from database.migrations.adoption import migrate
from sipmesh.database.schema import CALLS
from storage.databases import shell


def test_questions_have_an_index(url: str) -> None:
    migrate(url, CALLS)
    with shell(url) as db:
        indexed = {index["column_names"][0] for index in sql.inspect(db).get_indexes("call_records")}
    assert indexed >= {"start", "call_id", "caller", "callee", "answerer"}
