"""Logouts at the OpenID provider: in a database of a release that knows none, no user has logged out."""

from __future__ import annotations

from database.migrations.adoption import differences, migrate
from sipmesh.database.schema import LOGOUTS
from sipmesh.storage.users.logout_tables import SCHEMA
from storage.databases import shell


def test_no_user_has_logged_out_yet(url: str) -> None:
    migrate(url, LOGOUTS)
    assert differences(url, LOGOUTS, SCHEMA) == []
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT count(*) FROM users_logouts").scalar_one() == 0
