"""A page of users: what was asked for, and how many there are (`test_user_database` reads pages of both databases)."""

from __future__ import annotations

from pathlib import Path

from sipmesh.storage.users.user_database import Users
from sipmesh.storage.users.user_list import UsersWanted


def test_page_of_many_users_has_those_asked_for_and_counts_all(tmp_path: Path) -> None:
    users = Users(tmp_path / "users.db")
    try:
        for number in range(5):
            users.add(f"user{number}@example.test", "secret")
        page = users.page(UsersWanted(2, find="user", skip=2))
        assert [user.aor for user in page.users] == ["sip:user2@example.test", "sip:user3@example.test"]
        assert (page.found, page.total) == (5, 5)
    finally:
        users.close()
