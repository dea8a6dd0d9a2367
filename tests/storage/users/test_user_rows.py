"""Users are found by their names, in any case of the letters."""

from __future__ import annotations

import pytest
import sqlalchemy as sql

from sipmesh.errors import OperatorError
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.watching import Watching
from storage.databases import only_sqlite

ALICE = "sip:alice@example.test"


def test_names_of_new_users_are_in_lower_case_and_found_in_any(users: Users) -> None:
    assert users.add("Alice@Example.TEST", "alice-pw").aor == ALICE
    with pytest.raises(OperatorError, match="exists already"):
        users.add("ALICE@example.test", "other")
    assert users.get("ALICE@example.test").aor == ALICE
    users.remove("aLICE@example.test")
    assert users.list() == []


@pytest.mark.parametrize("name", ["info", "INFO", "42"])
def test_user_cannot_be_added_under_the_alias_of_another(users: Users, name: str) -> None:
    users.add(ALICE, "alice-pw")
    users.add_alias(ALICE, "info")
    users.add_alias(ALICE, "42")
    with pytest.raises(OperatorError, match="sipmesh user alias list alice"):
        users.add(f"{name}@example.test", "pw")
    users.add("other@example.test", "pw")


@only_sqlite
def test_rule_of_a_later_release_blocks(users: Users) -> None:
    users.add(ALICE, "alice-pw")
    with users._engine.begin() as db:
        db.execute(sql.text("INSERT INTO users_watchers VALUES (:aor, '*', 'confirm')"), {"aor": ALICE})
    assert users.get(ALICE).watchers == {"*": Watching.BLOCK}


def test_number_that_is_the_name_of_a_user_is_no_alias_of_another(users: Users) -> None:
    users.add("+4930123@example.test", "pw")
    users.add(ALICE, "alice-pw")
    with pytest.raises(OperatorError, match="is already a name of"):
        users.add_alias(ALICE, "+4930123")
    users.add_alias(ALICE, "+4930124")
