"""Logins whose tickets have ended: in a database of a release that knows none, there is none."""

from __future__ import annotations

from database.migrations.adoption import differences, migrate
from sipmesh.database.schema import TICKETS
from sipmesh.storage.users.ended_ticket_tables import SCHEMA
from storage.databases import shell


def test_no_login_has_ended_yet(url: str) -> None:
    migrate(url, TICKETS)
    assert differences(url, TICKETS, SCHEMA) == []
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT count(*) FROM ended_tickets").scalar_one() == 0
