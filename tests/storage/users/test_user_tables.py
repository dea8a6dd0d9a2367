"""The tables of users: made by the first process that opens the database, also beside those of an earlier release."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from sipmesh.database.number_ceilings import USERS_NUMBERS
from sipmesh.errors import OperatorError
from sipmesh.storage.users.user_database import Users
from storage.databases import SQLITE, only_postgresql, only_sqlite, run, shell

ALICE = "sip:alice@example.test"
MOST_COLUMNS = 2000  # of a table in SQLite


def test_a_database_of_an_earlier_release_gets_the_column_and_keeps_its_users(url: str) -> None:
    """Several servers open it at once, as in a pool that is restarted."""
    with shell(url) as db:
        instant = "DATETIME" if db.dialect.name == SQLITE else "TIMESTAMP WITH TIME ZONE"
        run(
            db,
            "CREATE TABLE users (aor TEXT NOT NULL PRIMARY KEY, ha1_sha256 TEXT, ha1_md5 TEXT,"
            f" generation BIGINT NOT NULL, created {instant} NOT NULL)",
        )
        row = "INSERT INTO users VALUES (:aor, :sha256, :md5, 3, '2026-01-01 00:00:00.000000')"
        run(db, row, aor=ALICE, sha256="a" * 64, md5="b" * 32)
    with ThreadPoolExecutor(4) as workers:
        opened = list(workers.map(lambda _: Users(url), range(4)))
    for users in opened:
        verifier = users.verifier(ALICE)
        assert verifier is not None
        assert (verifier.generation, users.home(ALICE)) == (3, "")
    opened[0].move(ALICE, "pool1.example.test")
    assert opened[1].refresh() == {ALICE}
    assert opened[1].home(ALICE) == "pool1.example.test"
    for users in opened:
        users.close()


@only_postgresql
def test_a_server_starts_while_a_command_changes_the_users(users: Users, url: str) -> None:
    """The command holds the row of the version until it commits; the server that starts must not wait for it."""
    with shell(url) as db:
        run(db, "UPDATE users_version SET version = version + 1")
        Users(url).close()
    users.add(ALICE, "alice-pw")


@only_sqlite
def test_table_that_cannot_get_the_column_is_an_operator_error(url: str) -> None:
    """Only a column that another process has added meanwhile is no error."""
    with shell(url) as db:
        columns = ", ".join(f"c{number} TEXT" for number in range(MOST_COLUMNS - 2))
        run(db, f"CREATE TABLE users (aor TEXT, ha1_sha256 TEXT, {columns})")
    with pytest.raises(OperatorError, match="cannot be used"):
        Users(url)


def test_number_beyond_the_clock_is_refused_and_what_is_known_stays(users: Users, url: str) -> None:
    """Servers would accept no later change of a user."""
    users.add(ALICE, "alice-pw")
    users.refresh()
    known = users.number
    for raised in (2**62, USERS_NUMBERS.at(datetime.now(UTC)) + 3_600_000):
        with shell(url) as db:
            run(db, "UPDATE users_version SET version = :number", number=raised)
        for act in (
            users.refresh,
            lambda: users.remove(ALICE),
            lambda: users.jump(1),
            lambda: users.set_backups({"a": "b"}),
            lambda: users.documents("example.test", "pool1.example.test", "pool1.example.test"),
            lambda: Users(url),
        ):
            with pytest.raises(OperatorError, match=r"users of number \d+ is beyond .* set `version` of users_version"):
                act()
        assert (users.number, users.verifier(ALICE) is None) == (known, False)
    with shell(url) as db:
        run(db, "UPDATE users_version SET version = :number", number=known)
    users.remove(ALICE)
    assert users.refresh() == {ALICE}
    assert users.number == known + 1
