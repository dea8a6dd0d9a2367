"""A document has all users, or what has changed since a number."""

from __future__ import annotations

import pytest

from sipmesh.routing.events.watcher_rules import MOST_RULES, NO_RULES
from sipmesh.storage.users.replicated_users import ReplicatedUsers
from sipmesh.storage.users.user_database import Users
from sipmesh.storage.users.user_document import UserDocument
from sipmesh.storage.users.user_rows import MOST_ALIASES
from sipmesh.topology.document.watching import Watching
from storage.databases import POSTGRESQL, SQLITE, only_sqlite, run, shell
from support.tiers import wide_after

ALICE = "sip:alice@example.test"
CAROL, NUMBER = "sip:carol@partner.test", "tel:+4930123"


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
    assert replicated.apply(change) == {"sip:bob@example.test"}  # what has changed of a user elsewhere is not known
    assert (replicated.owner(NUMBER), tuple(replicated.aliases(ALICE))) == ("sip:bob@example.test", ())


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


BAD_ROWS = [
    "UPDATE users SET ha1_sha256 = 'secret' WHERE aor = 'sip:bob@example.test'",
    "UPDATE users SET generation = -1 WHERE aor = 'sip:bob@example.test'",
    "UPDATE users SET aor = '' WHERE aor = 'sip:bob@example.test'",
    "UPDATE users SET pool = '' WHERE aor = 'sip:bob@example.test'",
    "UPDATE users_aliases SET alias = '' WHERE aor = 'sip:bob@example.test'",
    "UPDATE users_watchers SET watcher = '' WHERE aor = 'sip:bob@example.test'",
]


@pytest.mark.parametrize("statement", BAD_ROWS)
def test_row_that_cannot_be_read_stops_no_change_of_other_users(users: Users, url: str, statement: str) -> None:
    """Otherwise a client of the database could keep passwords and removals from all servers."""
    for user in (ALICE, "sip:bob@example.test"):
        users.add(user, "pw", pool="pool1")
    users.add_alias("bob@example.test", "+4930123")
    users.set_watcher("bob@example.test", CAROL, Watching.BLOCK)
    with shell(url) as db:
        run(db, statement)
    users.add("sip:dora@example.test", "pw", pool="pool1")
    [whole] = [UserDocument.decode(part) for part in users.documents("Example", "pool1", "pool1")]
    assert {ALICE, "sip:dora@example.test"} <= whole.verifiers.keys()
    assert bool(users.unusable) is statement.startswith("UPDATE users SET")
    assert len(whole.verifiers) == (2 if users.unusable else 3)
    Users(url).close()  # a server that starts reads the others too


FILLED = [
    "INSERT INTO users_aliases SELECT 'tel:+49' || n, 'sip:bob@example.test', created FROM users, n WHERE users.aor LIKE '%bob%'",
    "INSERT INTO users_watchers SELECT 'sip:bob@example.test', 'sip:w' || n || '@example.test', 'block' FROM n",
    (
        "INSERT INTO users SELECT 'sip:' || n || hex(zeroblob(2000)) || '@example.test', ha1_sha256, ha1_md5, 1, created,"
        " 'pool2', NULL FROM users, n WHERE users.aor LIKE '%bob%'"
    ),
    "UPDATE users_aliases SET alias = hex(zeroblob(4000000))",
    "UPDATE users SET pool = hex(zeroblob(4000000)) WHERE aor LIKE '%bob%'",
]


@only_sqlite
@pytest.mark.parametrize("statement", wide_after(2, FILLED))
def test_rows_without_number_or_length_make_no_document_that_a_server_cannot_receive(
    users: Users, url: str, statement: str
) -> None:
    """Otherwise a client of the database could keep all changes from all servers."""
    for user in (ALICE, "sip:bob@example.test"):
        users.add(user, "pw", pool="pool1")
    users.add_alias("bob@example.test", "+4930123")
    numbers = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000) "
    with shell(url) as db:
        run(db, statement if statement.startswith("UPDATE") else numbers + statement)
    users.add("sip:dora@example.test", "pw", pool="pool1")
    parts = users.documents("Example", "pool1", "pool1")
    assert max(map(len, parts)) < 2_500_000
    known = {aor: user for part in map(UserDocument.decode, parts) for aor, user in part.verifiers.items()}
    assert {ALICE, "sip:dora@example.test"} <= known.keys()
    rows = [part for part in map(UserDocument.decode, parts) if "sip:bob@example.test" in part.verifiers]
    assert all(len(part.aliases.get("sip:bob@example.test", ())) <= MOST_ALIASES for part in rows)
    assert all(len(part.watchers.get("sip:bob@example.test", ())) <= MOST_RULES for part in rows)


SET_CREATED = "UPDATE users SET created = {} WHERE aor = 'sip:bob@example.test'"
BAD_INSTANTS = [
    *((SQLITE, value) for value in ("'x'", "''", "7", "x'00ff'", "'2026-11-27 08:00+25:00'")),
    *((POSTGRESQL, value) for value in ("'infinity'", "'-infinity'", "'20000-01-01'", "'0044-03-15 BC'")),
]


@pytest.mark.parametrize(
    ("url", "value"),
    wide_after(
        3,
        [
            pytest.param(kind, value, marks=[pytest.mark.peer(kind)] if kind == POSTGRESQL else [])
            for kind, value in BAD_INSTANTS
        ],
    ),
    indirect=["url"],
)
def test_time_that_cannot_be_read_is_unknown_and_hides_no_row(users: Users, url: str, value: str) -> None:
    """Otherwise a client of the database could keep all changes from all servers."""
    for user in (ALICE, "sip:bob@example.test"):
        users.add(user, "pw", pool="pool1")
    with shell(url) as db:
        run(db, SET_CREATED.format(value))
    users.add("sip:dora@example.test", "pw", pool="pool1")
    assert users.refresh()
    [whole] = [UserDocument.decode(part) for part in users.documents("Example", "pool1", "pool1")]
    created = {aor: verifier.created for aor, verifier in whole.verifiers.items()}
    assert created.pop("sip:bob@example.test") == 0
    assert all(created.values())
    assert len(created) == len([user for user in users.list() if user.created.year > 1970]) == 2
    Users(url).close()


def test_changed_row_that_cannot_be_read_removes_its_user(users: Users, url: str) -> None:
    for user in (ALICE, "sip:bob@example.test"):
        users.add(user, "pw", pool="pool1")
    [whole] = [UserDocument.decode(part) for part in users.documents("Example", "pool1", "pool1")]
    users.set_password("bob@example.test", "new")
    with shell(url) as db:
        run(db, "UPDATE users SET ha1_sha256 = 'secret' WHERE aor = 'sip:bob@example.test'")
    [change] = [UserDocument.decode(part) for part in users.documents("Example", "pool1", "pool1", since=whole.number)]
    assert change.gone == {"sip:bob@example.test"}
    assert list(users.unusable) == ["sip:bob@example.test"]


def test_unchanged_users_make_no_document(users: Users) -> None:
    assert users.documents("Example", "pool1", "pool1") == []
    users.add(ALICE, "alice-pw")
    [whole] = [UserDocument.decode(part) for part in users.documents("Example", "pool1", "pool1")]
    assert (whole.since, set(whole.verifiers)) == (0, {ALICE})
    assert users.documents("Example", "pool1", "pool1", since=whole.number) == []


def test_document_of_changes_names_the_removed_users(users: Users) -> None:
    users.add(ALICE, "alice-pw")
    users.add("bob@example.test", "bob-pw")
    users.remove(ALICE)
    [change] = [UserDocument.decode(part) for part in users.documents("Example", "pool1", "pool1", since=1)]
    assert (change.since, set(change.gone), set(change.verifiers)) == (1, {ALICE}, {"sip:bob@example.test"})


def test_document_has_all_users_if_the_changes_are_not_known(users: Users) -> None:
    """As after a restore: the number was raised without a change."""
    users.add(ALICE, "alice-pw")
    users.jump(10)
    [whole] = [UserDocument.decode(part) for part in users.documents("Example", "pool1", "pool1", since=1)]
    assert (whole.since, whole.number, set(whole.verifiers)) == (0, 11, {ALICE})
