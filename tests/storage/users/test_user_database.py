import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import make_url

from sipmesh.errors import OperatorError
from sipmesh.sip.digest import Algorithm, ha1
from sipmesh.storage.backup.create import copy_users
from sipmesh.storage.seen_users import SeenUsers
from sipmesh.storage.users.user_database import Users
from sipmesh.storage.users.user_list import UserSort, UsersWanted
from sipmesh.topology.document.watching import Watching
from storage.databases import only_postgresql, only_sqlite, run, shell, tampered
from support.postgres import Cluster

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
NUMBER = "tel:+4930123"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@only_sqlite
def test_the_password_is_nowhere_in_the_files(users: Users, file: Path) -> None:
    users.add(ALICE, "secret-password")
    held = b"".join(one.read_bytes() for one in file.parent.iterdir())
    assert b"alice@example.test" in held
    assert b"secret-password" not in held


@only_sqlite
def test_only_the_owner_may_read_the_files(users: Users, file: Path) -> None:
    users.add(ALICE, "alice-pw")
    assert {one.stat().st_mode & 0o777 for one in file.parent.iterdir()} == {0o600}


def test_refresh_returns_the_changed_users(users: Users, server: Users) -> None:
    users.add(ALICE, "alice-pw")
    users.add("sip:bob@example.test", "bob-pw")
    assert server.refresh() == {ALICE, "sip:bob@example.test"}
    users.set_password(ALICE, "new")
    users.remove("sip:bob@example.test")
    assert server.refresh() == {ALICE, "sip:bob@example.test"}
    assert server.verifier("sip:bob@example.test") is None
    assert server.refresh() == frozenset()


def test_a_new_password_is_a_new_generation(users: Users, server: Users) -> None:
    before = users.add(ALICE, "alice-pw", [Algorithm.MD5])
    after = users.set_password(ALICE, "new")
    server.refresh()
    verifier = server.verifier(ALICE)
    assert verifier is not None
    assert verifier.generation == after.generation > before.generation
    assert after.algorithms == before.algorithms == (Algorithm.MD5,)


def test_a_user_removed_and_added_again_is_a_new_generation(users: Users) -> None:
    """A login of the old user on a link is not valid for the new user."""
    before = users.add(ALICE, "alice-pw")
    users.remove(ALICE)
    assert users.add(ALICE, "alice-pw").generation > before.generation


def test_a_server_that_starts_later_knows_every_user(users: Users, url: str) -> None:
    users.add(ALICE, "alice-pw")
    later = Users(url)
    assert later.verifier(ALICE) is not None
    assert later.refresh() == frozenset()
    later.close()


@pytest.mark.parametrize("again", [ALICE, "alice@example.test", "sips:%61lice@EXAMPLE.test"])
def test_one_address_in_any_spelling_is_one_user(users: Users, again: str) -> None:
    users.add(ALICE, "alice-pw")
    with pytest.raises(OperatorError, match="exists already"):
        users.add(again, "other")


@pytest.mark.parametrize("aor", ["", "example.test", "alice@", "mailto:alice@example.test", "alice@exa mple.test"])
def test_an_address_without_user_or_domain_is_refused_with_the_remedy(users: Users, aor: str) -> None:
    with pytest.raises(OperatorError, match=r"alice@example\.com"):
        users.add(aor, "alice-pw")


def test_an_unknown_user_cannot_be_changed(users: Users, server: Users) -> None:
    with pytest.raises(OperatorError, match="is not a user"):
        users.set_password(ALICE, "new")
    with pytest.raises(OperatorError, match="is not a user"):
        users.remove(ALICE)
    assert server.refresh() == frozenset()


WRITER = """
import sys
import time
from itertools import count
from sipmesh.storage.seen_users import SeenUsers
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.watching import Watching
users = Users(sys.argv[1])
for number in count():
    users.add(f"user{number}@example.test", "pw")
    print(number, flush=True)
"""


@pytest.mark.wide
def test_kill_9_in_the_middle_of_writes_loses_nothing_acknowledged(url: str) -> None:
    command = [sys.executable, "-c", WRITER, url]
    paths = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths}) as writer:
        assert writer.stdout is not None
        acknowledged = [int(next(writer.stdout)) for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout if line.endswith(b"\n")]
    users = Users(url)
    assert len(users.list()) > acknowledged[-1]
    users.close()


@only_sqlite
def test_file_that_is_no_database_is_an_operator_error(url: str, file: Path) -> None:
    file.write_bytes(b"not a database" * 1000)
    with pytest.raises(OperatorError, match="cannot be used"):
        Users(url)


def test_password_in_the_url_is_never_shown() -> None:
    with pytest.raises(OperatorError) as caught:
        Users("postgresql+nosuchdriver://sipmesh:secret@db.example.test/users")
    assert "secret" not in str(caught.value)


def test_a_path_is_sqlite(tmp_path: Path) -> None:
    users = Users(tmp_path / "users.db")
    users.add(ALICE, "alice-pw")
    users.close()
    with closing(sqlite3.connect(tmp_path / "users.db")) as db:
        assert db.execute("SELECT aor FROM users").fetchall() == [(ALICE,)]


def test_a_user_has_a_home_that_servers_learn_and_a_move_is_a_new_generation(users: Users, server: Users) -> None:
    users.add(ALICE, "alice-pw", pool="pool1.example.test")
    users.add("sip:bob@example.test", "bob-pw")
    server.refresh()
    assert [server.home(ALICE), server.home("sip:bob@example.test")] == ["pool1.example.test", ""]
    assert server.home("sip:nobody@example.test") is None
    before, moved = users.get(ALICE), users.move(ALICE, "pool2.example.test")
    assert moved.generation > before.generation
    assert (moved.pool, moved.algorithms) == ("pool2.example.test", before.algorithms)
    assert server.refresh() == {ALICE}
    assert server.home(ALICE) == "pool2.example.test"
    users.remove(ALICE)
    server.refresh()
    assert server.home(ALICE) is None


def test_a_new_password_leaves_the_home_as_it_is(users: Users) -> None:
    users.add(ALICE, "alice-pw", pool="pool1.example.test")
    assert users.set_password(ALICE, "new").pool == "pool1.example.test"
    assert [user.pool for user in users.list()] == ["pool1.example.test"]


def test_unknown_user_is_not_moved(users: Users) -> None:
    with pytest.raises(OperatorError, match="sipmesh user list"):
        users.move(ALICE, "pool1.example.test")
    with pytest.raises(OperatorError, match="sipmesh user list"):
        users.get(ALICE)


@only_postgresql
@pytest.mark.wide
def test_more_users_may_change_than_a_query_has_parameters(users: Users, server: Users, url: str) -> None:
    """As an import does: PostgreSQL counts the parameters of a query in 16 bits."""
    many = 70_000
    with shell(url) as db:
        numbered = f"'sip:u' || i || '@example.test' AS aor FROM generate_series(1, {many}) AS i"
        run(db, f"CREATE TEMPORARY TABLE made AS SELECT i, {numbered}")
        run(db, "INSERT INTO users SELECT aor, repeat('a', 64), repeat('b', 32), i, now(), NULL FROM made")
        run(db, "INSERT INTO users_changes SELECT i, aor FROM made")
        run(db, "UPDATE users_version SET version = (SELECT max(i) FROM made)")
    assert len(server.refresh()) == many
    assert server.verifier(f"sip:u{many}@example.test") is not None


@only_postgresql
def test_creation_time_survives_a_copy_out_of_postgresql_and_back(users: Users, url: str, tmp_path: Path) -> None:
    """As in a backup and a restore; the server has another time zone than UTC."""
    made = users.add(ALICE, "alice-pw")
    exported = tmp_path / "users-export.db"
    assert copy_users(url, exported) == 1
    with shell(url) as db:
        run(db, "DELETE FROM users")
    assert copy_users(exported, url) == 1
    assert list(users.list()) == [made]


@only_postgresql
@pytest.mark.wide
def test_restarted_database_server_is_queried_again(users: Users, server: Users, cluster: Cluster) -> None:
    """Broken connections are not used again."""
    users.add(ALICE, "alice-pw")
    assert server.refresh() == {ALICE}
    cluster.stop()
    with pytest.raises(OperatorError, match=r"the users in .* cannot be used"):
        server.refresh()
    assert server.verifier(ALICE) is not None
    cluster.start()
    users.remove(ALICE)
    assert server.refresh() == {ALICE}


@only_postgresql
def test_password_that_postgresql_refuses_is_never_shown(cluster: Cluster, url: str) -> None:
    wrong = make_url(url).set(password="not-the-secret")
    with pytest.raises(OperatorError, match="password authentication failed") as refused:
        Users(wrong.render_as_string(hide_password=False))
    assert "not-the-secret" not in str(refused.value)


NUMBER, LOCAL = "tel:+4930123", "tel:42;phone-context=example.test"


def test_aliases_are_copied_with_their_users(users: Users, tmp_path: Path) -> None:
    users.add(ALICE, "alice-pw")
    users.add_alias(ALICE, "+4930123")
    other = Users(tmp_path / "other.db")
    users.copy_to(other)
    assert other.get(ALICE).aliases == (NUMBER,)
    other.close()


CAROL = "sip:carol@partner.test"


def test_disabled_user_gets_no_new_password(users: Users) -> None:
    """It would let the user in again by the way."""
    users.add(ALICE, "alice-pw")
    with pytest.raises(OperatorError, match="is not disabled"):
        users.enable(ALICE)
    users.disable(ALICE, NOON)
    with pytest.raises(OperatorError, match="sipmesh user enable"):
        users.set_password(ALICE, "new")
    with pytest.raises(OperatorError, match="disabled already"):
        users.disable(ALICE, NOON)


def test_disabled_user_who_is_removed_comes_back_as_a_new_one(users: Users) -> None:
    users.add(ALICE, "alice-pw")
    users.disable(ALICE, NOON)
    users.remove(ALICE)
    users.add(ALICE, "other-pw")
    assert users.get(ALICE).disabled is None


def test_disabled_users_are_copied_as_such(users: Users, tmp_path: Path) -> None:
    users.add(ALICE, "alice-pw")
    users.disable(ALICE, NOON)
    other = Users(tmp_path / "other.db")
    users.copy_to(other)
    assert other.get(ALICE).disabled == NOON
    other.enable(ALICE)
    kept = other.verifier(ALICE) or (other.refresh() and other.verifier(ALICE))
    assert kept
    assert kept.ha1[Algorithm.MD5] == ha1("alice", "example.test", "alice-pw", Algorithm.MD5)
    other.close()


def test_server_and_commands_know_the_same_of_a_user(users: Users, server: Users) -> None:
    users.add(ALICE, "alice-pw", pool="pool1.example.test")
    assert users.add_alias(ALICE, "+4930123") == NUMBER
    assert users.set_watcher(ALICE, "bob", Watching.BLOCK) == BOB
    assert server.refresh() == {ALICE}
    assert (server.owner(NUMBER), tuple(server.aliases(ALICE)), server.watcher_rules(ALICE)) == (
        ALICE,
        users.get(ALICE).aliases,
        users.get(ALICE).watchers,
    )
    assert server.places() == (frozenset({"pool1.example.test"}), frozenset({"example.test"}))
    assert (server.ready, server.size, server.is_withheld(ALICE), server.home(BOB)) == (True, 1, False, None)
    assert users.remove_alias(ALICE, "+4930123") == NUMBER
    assert users.remove_watcher(ALICE, "bob") == BOB
    assert server.refresh() == {ALICE}
    assert (server.owner(NUMBER), server.watcher_rules(ALICE)) == ("", {})


def test_users_are_copied_into_an_empty_database_only(users: Users, tmp_path: Path) -> None:
    users.add(ALICE, "alice-pw")
    other = Users(tmp_path / "other.db")
    assert users.copy_to(other) == 1
    with pytest.raises(OperatorError, match="import into an empty database"):
        users.copy_to(other)
    other.close()


def test_numbers_rise_over_those_of_before_a_restore(users: Users) -> None:
    users.add(ALICE, "alice-pw")
    assert users.jump(100) == 101
    assert users.set_password(ALICE, "new").generation == 102
    assert len(users.documents("Example", "pool1", "pool1")) == 1


def test_page_of_users_needs_no_user_in_memory_and_has_aliases_and_states(users: Users, url: str) -> None:
    for name in ("alice", "bob", "carol"):
        users.add(f"{name}@example.test", "secret")
    users.add_alias("bob@example.test", "+4930123")
    users.disable("carol@example.test", datetime.now(UTC))
    asked = Users(url, in_memory=False)
    try:
        page = asked.page(UsersWanted(2, after="sip:alice@example.test"))
        assert ([user.aor for user in page.users], page.total) == (
            ["sip:bob@example.test", "sip:carol@example.test"],
            3,
        )
        bob, carol = page.users
        assert (bob.aliases, bob.disabled, carol.disabled is None) == (("tel:+4930123",), None, False)
        for wanted, names in (
            (UsersWanted(1), ["alice"]),
            (UsersWanted(2, after="sip:carol@example.test"), []),
            (UsersWanted(9, descending=True), ["carol", "bob", "alice"]),
            (UsersWanted(9, skip=2), ["carol"]),
            (UsersWanted(9, sort=UserSort.DISABLED), ["carol", "alice", "bob"]),
            (UsersWanted(9, sort=UserSort.POOL), ["alice", "bob", "carol"]),
            (UsersWanted(9, sort=UserSort.CREATED), ["alice", "bob", "carol"]),
            (UsersWanted(9, find="CAR"), ["carol"]),
            (UsersWanted(9, find="4930"), ["bob"]),
            (UsersWanted(9, find="%"), []),
            (UsersWanted(9, find="_"), []),
        ):
            page = asked.page(wanted)
            assert [user.aor for user in page.users] == [f"sip:{name}@example.test" for name in names], wanted
            assert (page.found, page.total) == (len(names) if wanted.find else 3, 3)
        assert asked.get("bob@example.test").aliases == ("tel:+4930123",)
    finally:
        asked.close()


OLDER = (
    "DELETE FROM users_changes WHERE version = 3",
    "UPDATE users_version SET version = 2",
)
"""As a dump from before the last change."""


@pytest.fixture(name="seeing")
def _seeing(url: str, users: Users, tmp_path: Path) -> Iterator[Users]:
    """Management, on a host that has seen change 3."""
    for name in (ALICE, BOB):
        users.add(name, "pw")
    users.set_password(ALICE, "new")
    seeing = Users(url, seen=SeenUsers(tmp_path))
    yield seeing
    seeing.close()


def test_older_database_is_not_given_to_servers_and_not_changed(
    url: str, users: Users, seeing: Users, tmp_path: Path
) -> None:
    """Its next change would have a number that servers have with other content. Control: a host that has seen nothing."""
    assert (seeing.refresh(), seeing.older, seeing.number) == (frozenset(), "", 3)
    tampered(url, *OLDER)
    seeing.refresh()
    assert "its number is 2, and 3 was seen here" in seeing.older
    again = Users(url, seen=SeenUsers(tmp_path))  # after a restart
    assert again.older == seeing.older
    for refused in (
        lambda: again.set_password(BOB, "new"),
        lambda: again.set_backups({"a": "b"}),
        lambda: seeing.documents("Example", "a", "a"),
    ):
        with pytest.raises(OperatorError, match="3 was seen here"):
            refused()
    assert users.documents("Example", "a", "a")
    users.set_password(BOB, "new")
    seeing.refresh()
    assert "change 3 is of another user" in seeing.older
    again.close()


def test_older_database_counts_again_once_its_number_is_above_all(url: str, seeing: Users) -> None:
    tampered(url, *OLDER)
    seeing.refresh()
    number = seeing.overtake()
    seeing.refresh()
    assert (seeing.older, seeing.number) == ("", number)
    assert seeing.set_password(BOB, "new").generation == number + 1
    assert seeing.documents("Example", "a", "a", since=3)


def test_newer_state_that_comes_back_counts_again(url: str, seeing: Users) -> None:
    tampered(url, *OLDER)
    seeing.refresh()
    tampered(url, "INSERT INTO users_changes VALUES (3, 'sip:alice@example.test')")
    tampered(url, "UPDATE users_version SET version = 3")
    seeing.refresh()
    assert (seeing.older, seeing.number) == ("", 3)
    assert seeing.set_password(BOB, "new").generation == 4
