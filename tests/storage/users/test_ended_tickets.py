"""Logins whose tickets were ended: each for as long as a ticket could count, in a table that the release before passes over."""

from __future__ import annotations

from pathlib import Path

from sipmesh.database.schema import SCHEMAS, TICKETS
from sipmesh.storage.users import ended_ticket_tables, user_tables
from sipmesh.storage.users.ended_tickets import end_tickets, has_ended
from sipmesh.storage.users.user_database import Users


def test_login_has_ended_until_its_tickets_would_end_and_then_its_row_goes(tmp_path: Path) -> None:
    users = Users(tmp_path / "users.db")
    with users.locked() as db:
        end_tickets(db, "one", 1_900, 1_000)
        end_tickets(db, "one", 1_950, 1_050)
        end_tickets(db, "two", 2_900, 1_949)
        assert [has_ended(db, login) for login in ("one", "two", "three")] == [True, True, False]
        end_tickets(db, "three", 2_950, 1_950)
        assert [has_ended(db, login) for login in ("one", "two", "three")] == [False, True, True]
    users.close()


def test_no_earlier_schema_has_the_table() -> None:
    assert TICKETS in SCHEMAS
    assert not ended_ticket_tables.SCHEMA.tables.keys() & user_tables.SCHEMA.tables.keys()
