"""The key for unknown names: made once, and existing users get a new number, so that each server gets it."""

from __future__ import annotations

from typing import Any

from database.migrations.adoption import differences, make_earlier, migrate
from sipmesh.database.schema import USERS
from sipmesh.routing.authentication.digest_sets import is_names_key
from sipmesh.storage.users.user_tables import SCHEMA
from storage.databases import shell


def version(url: str) -> tuple[int, Any]:
    with shell(url) as db:
        [(number, key)] = db.exec_driver_sql("SELECT version, names_key FROM users_version").all()
    return number, key


def test_users_of_the_release_before_get_a_key_once_and_a_new_number(url: str) -> None:
    make_earlier(url, USERS, "UPDATE users_version SET version = 7")
    migrate(url, USERS)
    assert differences(url, USERS, SCHEMA) == []
    number, key = version(url)
    assert (number, is_names_key(key)) == (8, True)
    migrate(url, USERS)
    assert version(url) == (8, key)


def test_new_database_has_a_key_and_no_users_yet(url: str) -> None:
    migrate(url, USERS)
    number, key = version(url)
    assert (number, is_names_key(key)) == (0, True)
