"""What a server has in memory of the users: a changed user is replaced, and a removed one is gone."""

from __future__ import annotations

from datetime import UTC, datetime

from sipmesh.routing.authentication.digest_sets import DigestSets
from sipmesh.routing.events.watcher_rules import NO_RULES
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.alias_index import AliasIndex
from sipmesh.storage.users.known_users import KnownUsers
from sipmesh.storage.users.stored_users import StoredUsers
from sipmesh.topology.document.watching import Watching

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
NUMBER = "tel:+4930123"
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
RULES = {ALICE: {BOB: Watching.BLOCK}}
KEY, OLD = "0" * 64, (Algorithm.MD5,)


def row(aor: str, pool: str | None = None) -> dict[str, object]:
    return {"aor": aor, "ha1_sha256": None, "ha1_md5": "a" * 32, "generation": 3, "pool": pool, "created": NOON}


def known() -> KnownUsers:
    users, aliases = KnownUsers(), AliasIndex()
    aliases.put(ALICE, (NUMBER,))
    users.replace(frozenset(), StoredUsers([row(ALICE, "pool1"), row(BOB)], aliases, RULES), 7, KEY)
    return users


def test_no_user_is_known_at_first() -> None:
    users = KnownUsers()
    assert (len(users), users.number, users.verifier(ALICE), users.home(ALICE)) == (0, 0, None, None)
    assert (users.owner(NUMBER), users.aliases(ALICE), users.watcher_rules(ALICE)) == ("", (), NO_RULES)
    assert users.places() == (frozenset(), frozenset())
    assert users.unknown(frozenset({ALICE})) == {ALICE}


def test_everything_about_a_user_is_found_by_address_and_alias() -> None:
    users = known()
    verifier = users.verifier(ALICE)
    assert verifier is not None
    assert (verifier.generation, users.home(ALICE), users.home(BOB)) == (3, "pool1", "")
    assert (users.owner(NUMBER), tuple(users.aliases(ALICE))) == (ALICE, (NUMBER,))
    assert users.watcher_rules(ALICE) == RULES[ALICE]
    assert users.places() == (frozenset({"pool1", ""}), frozenset({"example.test"}))
    assert users.unknown(frozenset({ALICE, BOB})) == frozenset()
    assert (users.kind(ALICE), users.kind(BOB), users.names_key) == (("pool1", OLD), ("", OLD), KEY)
    counted = DigestSets({("pool1", OLD): 1, ("", OLD): 1})
    assert [users.sets.alike(bytes([n])) for n in range(256)] == [counted.alike(bytes([n])) for n in range(256)]


def test_user_who_moves_and_one_who_is_gone_are_not_known_where_they_were() -> None:
    users = known()
    users.replace(frozenset({ALICE, BOB}), StoredUsers([row(ALICE, "pool2")], AliasIndex(), {}), 8, KEY)
    assert (users.kind(ALICE), users.kind(BOB)) == (("pool2", OLD), None)
    assert users.sets.alike(bytes(8)) == users.sets.alike(b"\xff" * 8) == ("pool2", OLD)


def test_row_that_cannot_be_read_is_passed_over() -> None:
    users = known()
    users.replace(frozenset({BOB}), StoredUsers([{**row(BOB), "ha1_md5": "secret"}], AliasIndex(), {}), 8, KEY)
    assert (users.verifier(BOB), users.verifier(ALICE) is None, users.number) == (None, False, 8)


def test_changed_user_without_a_row_is_gone() -> None:
    users = known()
    users.replace(frozenset({ALICE, BOB}), StoredUsers([row(BOB, "pool2")], AliasIndex(), {}), 8, KEY)
    assert (users.verifier(ALICE), users.home(ALICE), users.owner(NUMBER)) == (None, None, "")
    assert (users.watcher_rules(ALICE), users.home(BOB), users.number) == (NO_RULES, "pool2", 8)
