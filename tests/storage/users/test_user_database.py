import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sql
from sqlalchemy import make_url

from sipmesh.errors import OperatorError
from sipmesh.routing.events.watcher_rules import MOST_RULES, NO_RULES
from sipmesh.sip.digest import Algorithm, ha1
from sipmesh.storage.backup.create import copy_users
from sipmesh.storage.users.replicated_users import ReplicatedUsers
from sipmesh.storage.users.user_database import MOST_ALIASES, Users
from sipmesh.storage.users.user_document import UserDocument
from sipmesh.topology.document.watching import Watching
from storage.databases import SQLITE, only_postgresql, only_sqlite, run, shell
from support.postgres import Cluster

ALICE = "sip:alice@example.test"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture(name="users")
def _users(url: str) -> Iterator[Users]:
    """The users as the commands see them."""
    users = Users(url)
    yield users
    users.close()


@pytest.fixture(name="server")
def _server(url: str, users: Users) -> Iterator[Users]:
    """The same users as a running server sees them."""
    server = Users(url)
    yield server
    server.close()


def test_a_user_has_a_verifier_for_each_algorithm_strongest_first(users: Users, server: Users) -> None:
    users.add("alice@example.test", "alice-pw")
    server.refresh()
    verifier = server.verifier(ALICE)
    assert verifier is not None
    assert list(verifier.ha1) == [Algorithm.SHA_256, Algorithm.MD5]
    assert verifier.ha1[Algorithm.MD5] == ha1("alice", "example.test", "alice-pw", Algorithm.MD5)


def test_a_user_with_md5_has_md5_alone(users: Users, server: Users) -> None:
    """Debian's baresip supports only an MD5 challenge."""
    users.add(ALICE, "alice-pw", [Algorithm.MD5])
    server.refresh()
    verifier = server.verifier(ALICE)
    assert verifier is not None
    assert list(verifier.ha1) == [Algorithm.MD5]


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


@only_sqlite
def test_unchanged_database_file_is_not_queried(users: Users, server: Users, file: Path) -> None:
    users.add(ALICE, "secret")
    old = time.time() - 60
    os.utime(file, (old, old))
    asked: list[str] = []
    sql.event.listen(server._engine, "before_cursor_execute", lambda *told: asked.append(str(told[2])))
    assert server.refresh() == {ALICE}
    os.utime(file, (old, old))
    assert [bool(asked), server.refresh()] == [True, frozenset()]
    asked.clear()
    assert [server.refresh(), asked] == [frozenset(), []]
    users.set_password(ALICE, "other")
    assert server.refresh() == {ALICE}


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


def test_a_server_that_starts_later_knows_everybody(users: Users, url: str) -> None:
    users.add(ALICE, "alice-pw")
    later = Users(url)
    assert later.verifier(ALICE) is not None
    assert later.refresh() == frozenset()
    later.close()


def test_list_contains_no_hashes(users: Users) -> None:
    users.add("sip:bob@example.test", "bob-pw")
    alice = users.add(ALICE, "alice-pw", [Algorithm.SHA_256])
    assert [user.aor for user in users.list()] == [ALICE, "sip:bob@example.test"]
    assert users.list()[0] == alice
    assert users.list()[0].created.utcoffset() == timedelta(0)


@pytest.mark.parametrize("again", [ALICE, "alice@example.test", "sips:%61lice@EXAMPLE.test"])
def test_one_address_in_any_spelling_is_one_user(users: Users, again: str) -> None:
    users.add(ALICE, "alice-pw")
    with pytest.raises(OperatorError, match="exists already"):
        users.add(again, "other")


@pytest.mark.parametrize("aor", ["", "example.test", "alice@", "mailto:alice@example.test", "alice@exa mple.test"])
def test_an_address_without_user_or_domain_is_refused_with_the_remedy(users: Users, aor: str) -> None:
    with pytest.raises(OperatorError, match=r"alice@example\.com"):
        users.add(aor, "alice-pw")


def test_an_empty_password_is_refused(users: Users) -> None:
    with pytest.raises(OperatorError, match="no password"):
        users.add(ALICE, "")


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
from sipmesh.storage.users.user_database import Users
users = Users(sys.argv[1])
for number in count():
    users.add(f"user{number}@example.test", "pw")
    print(number, flush=True)
"""


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


def test_a_database_of_an_earlier_release_gets_the_column_and_keeps_its_users(url: str) -> None:
    """Several servers open it at once, as in a pool that is restarted."""
    with shell(url) as db:
        instant = "DATETIME" if db.dialect.name == SQLITE else "TIMESTAMP WITH TIME ZONE"
        run(
            db,
            "CREATE TABLE users (aor TEXT NOT NULL PRIMARY KEY, ha1_sha256 TEXT, ha1_md5 TEXT,"
            f" generation BIGINT NOT NULL, created {instant} NOT NULL)",
        )
        run(db, "INSERT INTO users VALUES (:aor, 'a', 'b', 3, '2026-01-01 00:00:00.000000')", aor=ALICE)
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
def test_more_users_may_change_than_a_query_has_parameters(users: Users, server: Users, url: str) -> None:
    """As an import does: PostgreSQL counts the parameters of a query in 16 bits."""
    many = 70_000
    with shell(url) as db:
        numbered = f"'sip:u' || i || '@example.test' AS aor FROM generate_series(1, {many}) AS i"
        run(db, f"CREATE TEMPORARY TABLE made AS SELECT i, {numbered}")
        run(db, "INSERT INTO users SELECT aor, 'a', 'b', i, now(), NULL FROM made")
        run(db, "INSERT INTO users_changes SELECT i, aor FROM made")
        run(db, "UPDATE users_version SET version = (SELECT max(i) FROM made)")
    assert len(server.refresh()) == many
    assert server.verifier(f"sip:u{many}@example.test") is not None


@only_postgresql
def test_a_server_starts_while_a_command_changes_the_users(users: Users, url: str) -> None:
    """The command holds the row of the version until it commits; the server that starts must not wait for it."""
    with shell(url) as db:
        run(db, "UPDATE users_version SET version = version + 1")
        Users(url).close()
    users.add(ALICE, "alice-pw")


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


def test_alias_is_known_to_a_server_after_its_next_look_and_no_link_is_closed(users: Users, server: Users) -> None:
    """The generation stays, so that the logins on live links stay valid."""
    users.add(ALICE, "alice-pw")
    server.refresh()
    before = server.verifier(ALICE)
    assert users.add_alias("alice@example.test", "+49 30 123") == NUMBER
    assert users.add_alias(ALICE, "42") == LOCAL
    assert server.refresh() == {ALICE}
    assert (server.owner(NUMBER), server.owner(LOCAL), tuple(server.aliases(ALICE))) == (ALICE, ALICE, (NUMBER, LOCAL))
    assert server.verifier(ALICE) == before
    assert users.remove_alias(ALICE, "+4930123") == NUMBER
    server.refresh()
    assert (server.owner(NUMBER), tuple(server.aliases(ALICE))) == ("", (LOCAL,))


def test_users_are_listed_with_their_aliases(users: Users, url: str) -> None:
    users.add(ALICE, "alice-pw")
    users.add("bob@example.test", "bob-pw")
    users.add_alias(ALICE, "info")
    assert [one.aliases for one in users.list()] == [("sip:info@example.test",), ()]
    assert users.get(ALICE).aliases == ("sip:info@example.test",)
    later = Users(url)
    assert later.owner("sip:info@example.test") == ALICE
    later.close()


@pytest.mark.parametrize("taken", ["+4930123", "info", "Info@EXAMPLE.test", "bob", "BOB", "77"])
def test_alias_that_is_a_name_of_somebody_is_refused(users: Users, taken: str) -> None:
    users.add(ALICE, "alice-pw")
    users.add("bob@example.test", "bob-pw")
    users.add("77@example.test", "bob-pw")
    users.add_alias(ALICE, "+4930123")
    users.add_alias(ALICE, "info")
    with pytest.raises(OperatorError, match="is already a name of"):
        users.add_alias("bob@example.test", taken)
    assert users.get("bob@example.test").aliases == ()


@pytest.mark.parametrize("name", ["info", "INFO", "42"])
def test_user_cannot_be_added_under_the_alias_of_another(users: Users, name: str) -> None:
    users.add(ALICE, "alice-pw")
    users.add_alias(ALICE, "info")
    users.add_alias(ALICE, "42")
    with pytest.raises(OperatorError, match="sipmesh user alias list alice"):
        users.add(f"{name}@example.test", "pw")
    users.add("other@example.test", "pw")


def test_aliases_of_a_removed_user_are_free_again(users: Users, server: Users) -> None:
    users.add(ALICE, "alice-pw")
    users.add("bob@example.test", "bob-pw")
    users.add_alias(ALICE, "+4930123")
    users.remove(ALICE)
    users.add_alias("bob@example.test", "+4930123")
    server.refresh()
    assert (server.owner(NUMBER), tuple(server.aliases(ALICE))) == ("sip:bob@example.test", ())


def test_alias_of_another_or_of_nobody_cannot_be_removed(users: Users) -> None:
    users.add(ALICE, "alice-pw")
    users.add("bob@example.test", "bob-pw")
    users.add_alias(ALICE, "+4930123")
    for whose in (ALICE, "bob@example.test", "nobody@example.test"):
        with pytest.raises(OperatorError):
            users.remove_alias(whose, "+4930124" if whose == ALICE else "+4930123")
    with pytest.raises(OperatorError):
        users.add_alias("nobody@example.test", "+491")
    assert users.get(ALICE).aliases == (NUMBER,)


@only_sqlite
def test_user_has_as_many_aliases_as_the_limit_and_no_more(users: Users) -> None:
    users.add(ALICE, "alice-pw")
    for number in range(MOST_ALIASES):
        users.add_alias(ALICE, f"+49{number}")
    with pytest.raises(OperatorError, match="which is the limit"):
        users.add_alias(ALICE, "+4999")
    assert len(users.get(ALICE).aliases) == MOST_ALIASES


def test_names_of_new_users_are_in_lower_case_and_found_in_any(users: Users) -> None:
    assert users.add("Alice@Example.TEST", "alice-pw").aor == ALICE
    with pytest.raises(OperatorError, match="exists already"):
        users.add("ALICE@example.test", "other")
    assert users.get("ALICE@example.test").aor == ALICE
    users.remove("aLICE@example.test")
    assert users.list() == []


def test_document_says_the_aliases_of_all_pools_and_changes_of_them(users: Users) -> None:
    users.add(ALICE, "alice-pw", pool="pool1")
    users.add("bob@example.test", "bob-pw", pool="pool2")
    users.add_alias(ALICE, "+4930123")
    users.add_alias("bob@example.test", "info")
    [whole] = [UserDocument.decode(part) for part in users.documents("Example", "pool1", "pool1")]
    assert whole.aliases == {ALICE: (NUMBER,), "sip:bob@example.test": ("sip:info@example.test",)}
    users.remove_alias(ALICE, "+4930123")
    users.add_alias("bob@example.test", "+4930123")
    [change] = [UserDocument.decode(part) for part in users.documents("Example", "pool1", "pool1", since=whole.number)]
    assert (set(change.verifiers), set(change.homes)) == ({ALICE}, {"sip:bob@example.test"})
    assert change.aliases == {"sip:bob@example.test": ("sip:info@example.test", NUMBER)}
    replicated = ReplicatedUsers("Example", "pool1")
    replicated.apply(whole)
    assert replicated.apply(change) == frozenset()
    assert (replicated.owner(NUMBER), tuple(replicated.aliases(ALICE))) == ("sip:bob@example.test", ())


def test_aliases_are_copied_with_their_users(users: Users, tmp_path: Path) -> None:
    users.add(ALICE, "alice-pw")
    users.add_alias(ALICE, "+4930123")
    other = Users(tmp_path / "other.db")
    users.copy_to(other)
    assert other.get(ALICE).aliases == (NUMBER,)
    other.close()


CAROL = "sip:carol@partner.test"


def test_rule_about_a_watcher_is_known_to_a_server_after_its_next_look(users: Users, server: Users) -> None:
    users.add(ALICE, "alice-pw")
    server.refresh()
    generation = server.verifier(ALICE)
    assert users.set_watcher("alice@example.test", "Carol@partner.test", Watching.BLOCK) == CAROL
    assert users.set_watcher(ALICE, "carol@partner.test", Watching.ALLOW) == CAROL
    assert users.set_watcher(ALICE, "@partner.test", Watching.BLOCK) == "@partner.test"
    assert server.refresh() == {ALICE}
    assert server.watcher_rules(ALICE) == {CAROL: Watching.ALLOW, "@partner.test": Watching.BLOCK}
    assert server.verifier(ALICE) == generation
    assert users.remove_watcher(ALICE, CAROL) == CAROL
    server.refresh()
    assert server.watcher_rules(ALICE) == users.get(ALICE).watchers == {"@partner.test": Watching.BLOCK}
    assert [user.watchers for user in users.list()] == [{"@partner.test": Watching.BLOCK}]
    users.remove(ALICE)
    users.add(ALICE, "alice-pw")
    server.refresh()
    assert server.watcher_rules(ALICE) == NO_RULES


def test_rule_that_is_not_there_cannot_be_removed(users: Users) -> None:
    users.add(ALICE, "alice-pw")
    with pytest.raises(OperatorError, match="sipmesh user presence list alice"):
        users.remove_watcher(ALICE, "bob")
    with pytest.raises(OperatorError, match="is not a user"):
        users.set_watcher("nobody@example.test", "bob", Watching.BLOCK)


@only_sqlite
def test_user_has_as_many_rules_as_the_limit_and_no_more(users: Users) -> None:
    users.add(ALICE, "alice-pw")
    with users._engine.begin() as db:
        rows = [{"aor": ALICE, "watcher": f"sip:{n}@b.test", "rule": "block"} for n in range(MOST_RULES - 1)]
        db.execute(sql.text("INSERT INTO users_watchers VALUES (:aor, :watcher, :rule)"), rows)
    users.set_watcher(ALICE, "bob", Watching.BLOCK)
    users.set_watcher(ALICE, "bob", Watching.ALLOW)
    with pytest.raises(OperatorError, match="which is the limit"):
        users.set_watcher(ALICE, "carol", Watching.BLOCK)
    assert len(users.get(ALICE).watchers) == MOST_RULES


@only_sqlite
def test_rule_of_a_later_release_blocks(users: Users) -> None:
    users.add(ALICE, "alice-pw")
    with users._engine.begin() as db:
        db.execute(sql.text("INSERT INTO users_watchers VALUES (:aor, '*', 'confirm')"), {"aor": ALICE})
    assert users.get(ALICE).watchers == {"*": Watching.BLOCK}


def test_document_has_the_rules_of_the_users_of_its_pool(users: Users) -> None:
    for user, pool in ((ALICE, "pool1"), ("sip:bob@example.test", "pool2")):
        users.add(user, "pw", pool=pool)
        users.set_watcher(user, CAROL, Watching.BLOCK)
    [whole] = [UserDocument.decode(part) for part in users.documents("Example", "pool1", "pool1")]
    assert whole.watchers == {ALICE: {CAROL: Watching.BLOCK}}
    users.remove_watcher(ALICE, CAROL)
    [change] = [UserDocument.decode(part) for part in users.documents("Example", "pool1", "pool1", since=whole.number)]
    replicated = ReplicatedUsers("Example", "pool1")
    assert replicated.watcher_rules(ALICE) == NO_RULES
    assert ALICE in replicated.apply(whole)
    assert replicated.watcher_rules(ALICE) == {CAROL: Watching.BLOCK}
    assert replicated.apply(change) == {ALICE}
    assert replicated.watcher_rules(ALICE) == NO_RULES


def test_disabled_user_has_hashes_that_no_password_has(users: Users, server: Users) -> None:
    """Of the same algorithms, so that nothing tells a disabled user from one with another password."""
    first = users.add(ALICE, "alice-pw")
    server.refresh()
    before = server.verifier(ALICE)
    assert users.disable(ALICE, NOON).generation > first.generation
    assert server.refresh() == {ALICE}
    after = server.verifier(ALICE)
    assert before is not None
    assert after is not None
    assert after.generation > before.generation
    assert {algorithm: len(ha1) for algorithm, ha1 in after.ha1.items()} == {
        algorithm: len(ha1) for algorithm, ha1 in before.ha1.items()
    }
    assert not set(after.ha1.values()) & set(before.ha1.values())
    assert (users.get(ALICE).disabled, [user.disabled for user in users.list()]) == (NOON, [NOON])
    users.enable(ALICE)
    server.refresh()
    again = server.verifier(ALICE)
    assert again is not None
    assert (again.ha1, users.get(ALICE).disabled) == (before.ha1, None)
    assert again.generation > after.generation


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


def test_page_of_users_needs_no_user_in_memory_and_has_aliases_and_states(users: Users, url: str) -> None:
    for name in ("alice", "bob", "carol"):
        users.add(f"{name}@example.test", "secret")
    users.add_alias("bob@example.test", "+4930123")
    users.disable("carol@example.test", datetime.now(UTC))
    asked = Users(url, in_memory=False)
    try:
        assert "known=0" in repr(asked)
        found, total = asked.page("sip:alice@example.test", 2)
        assert ([user.aor for user in found], total) == (["sip:bob@example.test", "sip:carol@example.test"], 3)
        assert (found[0].aliases, found[0].disabled, found[1].disabled is None) == (("tel:+4930123",), None, False)
        assert [user.aor for user in asked.page("", 1)[0]] == ["sip:alice@example.test"]
        assert asked.page("sip:carol@example.test", 2) == ([], 3)
        assert asked.get("bob@example.test").aliases == ("tel:+4930123",)
    finally:
        asked.close()
