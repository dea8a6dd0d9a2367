"""The rows of users, with what other tables have of them: of all users, or of those that a query selects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sipmesh.database.lazy_module import sql
from sipmesh.storage.users import user_tables as tables
from sipmesh.storage.users.stored_users import StoredUsers
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.watching import Watching

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"


@pytest.fixture(name="users")
def _users(tmp_path: Path) -> Iterator[Users]:
    users = Users(tmp_path / "users.db")
    for aor in (BOB, ALICE):
        users.add(aor, "a-secret")
        users.add_alias(aor, f"{aor[4]}-alias")
        users.set_watcher(aor, "*", Watching.BLOCK)
    users.end_tokens(BOB, "", 1_800_000_000)
    yield users
    users.close()


def read(users: Users, among: sql.Select[tuple[str]] | None = None) -> tuple[list[str], list[str], list[str]]:
    with users.reading() as db:
        found = StoredUsers.read(db, among)
    assert [row["logouts"] for row in found.rows] == [
        {"": 1_800_000_000} if row["aor"] == BOB else {} for row in found.rows
    ]
    return [row["aor"] for row in found.rows], sorted(found.aliases.users()), sorted(found.rules)


def test_all_users_are_read_in_the_order_of_their_addresses(users: Users) -> None:
    assert read(users) == ([ALICE, BOB],) * 3


def test_users_of_a_query_are_read_with_what_is_theirs_alone(users: Users) -> None:
    assert read(users, sql.select(tables.USERS.c.aor).where(tables.USERS.c.aor == BOB)) == ([BOB],) * 3
