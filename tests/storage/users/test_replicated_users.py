"""Users who travel: from the database of management, as documents, to the servers of their pool."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.routing.call_rules.call_rules import CallRules
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.call_rule_rows import set_call_rules
from sipmesh.storage.users.replicated_users import MOST_IN_PLACE, ReplicatedUsers
from sipmesh.storage.users.user_database import Users
from sipmesh.storage.users.user_document import MOST_IN_A_PART, UserDocument
from sipmesh.topology.document.watching import Watching
from support.tiers import wide_after

ORG, POOL1, POOL2 = "Example", "pool1.example.test", "pool2.example.test"
ALICE, BOB, CAROL = (f"sip:{name}@example.test" for name in ("alice", "bob", "carol"))


@pytest.fixture(name="users")
def _users(tmp_path: Path) -> Iterator[Users]:
    users = Users(tmp_path / "users.db")
    users.add(ALICE, "alice-pw", pool=POOL1)
    users.add(BOB, "bob-pw", [Algorithm.MD5], pool=POOL2)
    yield users
    users.close()


def fed(users: Users, held: ReplicatedUsers, pool: str = POOL1, since: int = 0) -> set[str]:
    """Send everything from management to a server; return the changed users."""
    return {aor for part in users.documents(ORG, pool, POOL1, since=since) for aor in held.accept_document(part)}


def spoilt(document: bytes, **changes: object) -> bytes:
    return json.dumps({**json.loads(document), **changes}).encode()


def test_server_knows_verifiers_of_its_own_users_and_home_pools_of_others(users: Users) -> None:
    held = ReplicatedUsers(ORG, POOL1)
    assert fed(users, held) == {ALICE}
    users.refresh()
    assert held.verifier(ALICE) == users.verifier(ALICE)
    assert (held.verifier(BOB), held.home(BOB), held.home(ALICE)) == (None, POOL2, POOL1)
    assert held.home(CAROL) is None
    [document] = users.documents(ORG, POOL1, POOL1)
    verifier = users.verifier(BOB)
    assert verifier is not None
    assert verifier.ha1[Algorithm.MD5].encode() not in document
    assert held.refresh() == frozenset()


def test_whole_document_leads_another_process_to_the_same_users(users: Users) -> None:
    held, other = ReplicatedUsers(ORG, POOL1), ReplicatedUsers(ORG, POOL1)
    fed(users, held)
    whole = held.whole()
    assert whole is not None
    other.withhold(frozenset({ALICE}), whole.number)
    for part in whole.divided(1):
        other.accept_document(part.encode())
    assert other.whole() == whole
    assert other.verifier(ALICE) == held.verifier(ALICE) is not None
    users.set_password(ALICE, "another")
    fed(users, held)
    assert other.whole() == whole, "it is a copy"


@pytest.mark.parametrize("more", wide_after(1, [1, MOST_IN_PLACE + 1]))
def test_each_pool_draws_the_same_for_an_unknown_name_as_the_database(users: Users, more: int) -> None:
    """Also after users were added, moved, removed and given other algorithms, few in place and many in a new set."""
    pools = {pool: ReplicatedUsers(ORG, pool) for pool in (POOL1, POOL2)}
    hashes = [bytes([number]) * 8 for number in range(256)]

    def assert_alike() -> None:
        users.refresh()
        for pool, held in pools.items():
            fed(users, held, pool, held.number)
            assert held.names_key == users.names_key != ""
            assert [held.kind(aor) for aor in (ALICE, BOB, CAROL)] == [users.kind(aor) for aor in (ALICE, BOB, CAROL)]
            assert [held.alike(one) for one in hashes] == [users.alike(one) for one in hashes]

    assert_alike()
    assert users.kind(BOB) == (POOL2, (Algorithm.MD5,))
    users.add(CAROL, "carol-pw", [Algorithm.SHA_256], pool=POOL1)
    for number in range(more):
        users.add(f"user{number}@example.test", "pw", pool=POOL1)
    users.set_password(BOB, "bob-pw", [Algorithm.SHA_256, Algorithm.MD5])
    users.move(ALICE, POOL2)
    assert_alike()
    users.move(CAROL, POOL2)
    users.remove(BOB)
    assert_alike()
    assert {ReplicatedUsers(ORG, POOL1).names_key, ReplicatedUsers(ORG, POOL1).kind(ALICE)} == {"", None}


def test_users_of_a_release_without_a_key_have_none_and_the_usual_algorithms(users: Users) -> None:
    held = ReplicatedUsers(ORG, POOL1)
    [document] = users.documents(ORG, POOL1, POOL1)
    earlier = {key: value for key, value in json.loads(document).items() if key not in {"names_key", "algorithms"}}
    held.accept_document(json.dumps(earlier).encode())
    assert (held.names_key, held.kind(BOB)) == ("", (POOL2, (Algorithm.SHA_256, Algorithm.MD5)))


def test_no_user_is_known_before_the_first_document() -> None:
    held = ReplicatedUsers(ORG, POOL1)
    assert (held.verifier(ALICE), held.home(ALICE), held.number, held.whole()) == (None, None, 0, None)
    assert held.unknown(frozenset({ALICE})) == frozenset()


def test_users_of_other_pools_are_known_and_withheld_users_may_be(users: Users) -> None:
    held, mallory = ReplicatedUsers(ORG, POOL1), "sip:mallory@example.test"
    fed(users, held)
    assert held.unknown(frozenset({ALICE, BOB, CAROL, mallory})) == {CAROL, mallory}
    held.withhold(frozenset({CAROL}), held.number + 1)
    assert held.unknown(frozenset({ALICE, BOB, CAROL, mallory})) == {mallory}


def test_user_without_a_home_pool_gets_the_default_permanently(users: Users) -> None:
    users.add(CAROL, "carol-pw")
    held = ReplicatedUsers(ORG, POOL1)
    assert CAROL in fed(users, held)
    assert users.get(CAROL).pool == POOL1
    other = ReplicatedUsers(ORG, POOL2)
    for part in users.documents(ORG, POOL2, POOL2):
        other.accept_document(part)
    assert other.home(CAROL) == POOL1


def test_only_changes_are_sent(users: Users) -> None:
    held = ReplicatedUsers(ORG, POOL1)
    fed(users, held)
    since = held.number
    users.add(CAROL, "carol-pw", pool=POOL1)
    [difference] = users.documents(ORG, POOL1, POOL1, since=since)
    assert b"alice" not in difference
    assert held.accept_document(difference) == {CAROL}
    assert held.verifier(ALICE) is not None
    assert not users.documents(ORG, POOL1, POOL1, since=held.number)


def test_moved_user_has_a_verifier_only_in_the_new_pool(users: Users) -> None:
    first, second = ReplicatedUsers(ORG, POOL1), ReplicatedUsers(ORG, POOL2)
    fed(users, first)
    fed(users, second, POOL2)
    users.move(ALICE, POOL2)
    assert fed(users, first, POOL1, first.number) == fed(users, second, POOL2, second.number) == {ALICE}
    assert (first.verifier(ALICE), first.home(ALICE)) == (None, POOL2)
    assert (second.verifier(ALICE) is not None, second.home(ALICE)) == (True, POOL2)
    users.remove(ALICE)
    assert fed(users, second, POOL2, second.number) == {ALICE}
    assert fed(users, first, POOL1, first.number) == {ALICE}
    assert first.home(ALICE) is second.home(ALICE) is None


def test_new_password_is_a_change_and_that_of_a_user_elsewhere_may_be(users: Users) -> None:
    """A link of a user who has moved may still be there, for its call."""
    held = ReplicatedUsers(ORG, POOL1)
    fed(users, held)
    users.set_password(ALICE, "new")
    assert fed(users, held, since=held.number) == {ALICE}
    users.set_password(BOB, "new")
    users.add_alias(ALICE, "+4930123")
    assert fed(users, held, since=held.number) == {BOB}


def test_rules_of_calls_are_a_change_and_the_same_rules_again_are_none(users: Users) -> None:
    """Phones of the user get them. The rules of a user of another pool are for that pool."""
    held = ReplicatedUsers(ORG, POOL1)
    fed(users, held)
    for aor, seen in ((ALICE, {ALICE}), (ALICE, set()), (BOB, {BOB})):
        with users.changing(aor) as (db, _):
            set_call_rules(db, aor, CallRules(do_not_disturb=True))
        assert fed(users, held, since=held.number) == seen


def test_backup_pool_gets_the_verifiers_before_it_needs_them_and_no_other_pool_does(users: Users) -> None:
    names = (POOL1, POOL2, "pool3.example.test")
    pools = [ReplicatedUsers(ORG, name) for name in names]

    def feed() -> list[set[str]]:
        return [fed(users, held, name, held.number) for held, name in zip(pools, names, strict=True)]

    feed()
    assert [held.verifier(ALICE) is not None for held in pools] == [True, False, False]
    users.set_watcher(ALICE, BOB, Watching.BLOCK)
    users.set_backups({POOL1: POOL2})
    feed()
    users.refresh()
    assert [held.verifier(ALICE) for held in pools] == [users.verifier(ALICE), users.verifier(ALICE), None]
    assert [held.verifier(BOB) for held in pools] == [None, users.verifier(BOB), None]
    assert [held.home(ALICE) for held in pools] == [POOL1] * 3
    assert pools[1].watcher_rules(ALICE) == pools[0].watcher_rules(ALICE) == {BOB: Watching.BLOCK}
    assert not pools[2].watcher_rules(ALICE)
    users.set_password(ALICE, "new")
    assert feed()[1] == {ALICE}
    users.refresh()
    assert pools[1].verifier(ALICE) == users.verifier(ALICE)
    users.set_backups({})
    assert feed()[1] == {ALICE}
    assert pools[1].verifier(ALICE) is None
    assert users.documents(ORG, POOL2, POOL1)[0].count(b"sha256") == 0


def test_equal_backup_pools_change_no_number(users: Users) -> None:
    number = users.jump(0)
    users.set_backups({})
    assert users.jump(0) == number
    users.set_backups({POOL1: POOL2})
    users.set_backups({POOL1: POOL2})
    assert users.jump(0) == number + 1


def test_user_of_a_backup_pool_who_moves_or_leaves_is_no_guest_any_more(users: Users) -> None:
    users.set_backups({POOL1: POOL2})
    held = ReplicatedUsers(ORG, POOL2)
    fed(users, held, POOL2)
    users.move(ALICE, "pool3.example.test")
    assert fed(users, held, POOL2, held.number) == {ALICE}
    assert held.verifier(ALICE) is None
    users.move(ALICE, POOL1)
    fed(users, held, POOL2, held.number)
    assert held.verifier(ALICE) is not None
    users.remove(ALICE)
    assert fed(users, held, POOL2, held.number) == {ALICE}
    assert (held.verifier(ALICE), held.home(ALICE)) == (None, None)


def test_backup_pools_are_copied_with_the_users(users: Users, tmp_path: Path) -> None:
    users.set_backups({POOL1: POOL2})
    copy = Users(tmp_path / "copy.db")
    users.copy_to(copy)
    assert copy.documents(ORG, POOL2, POOL1) == users.documents(ORG, POOL2, POOL1)
    copy.close()


def test_all_users_are_sent_after_a_jump_and_unknown_users_are_removed(users: Users, tmp_path: Path) -> None:
    """A server may know users that the restored database does not have: changes alone would leave them."""
    held = ReplicatedUsers(ORG, POOL1)
    before = users.jump(0)
    fed(users, held)
    restored = Users(tmp_path / "restored.db")
    restored.add(CAROL, "carol-pw", pool=POOL1)
    assert restored.jump(1000) > before
    assert fed(restored, held, since=held.number) == {ALICE, CAROL}
    assert held.verifier(ALICE) is None
    restored.close()


def test_many_users_are_in_force_when_all_parts_have_arrived() -> None:
    verifiers = {f"sip:u{n}@example.test": _verifier(f"sip:u{n}@example.test", n) for n in range(1, 25)}
    roster = UserDocument(ORG, POOL1, 30, verifiers=verifiers, homes={BOB: POOL2}, gone=frozenset({CAROL}))
    parts = roster.divided(10)
    assert [(one.part, one.parts) for one in parts] == [(1, 3), (2, 3), (3, 3)]
    held = ReplicatedUsers(ORG, POOL1)
    for part in reversed(parts[1:]):
        assert held.accept_document(part.encode()) == frozenset()
    assert held.number == 0
    assert held.accept_document(parts[0].encode()) == set(verifiers)
    assert (held.number, held.home(BOB)) == (30, POOL2)
    assert held.accept_document(parts[1].encode()) == frozenset()


@pytest.mark.parametrize("count", [MOST_IN_PLACE, MOST_IN_PLACE + 1])
def test_few_changes_are_made_in_place_and_many_in_a_new_set(count: int) -> None:
    """Both lead to the same users; only in place is a cost that does not grow with all users."""
    held, aors = ReplicatedUsers(ORG, POOL1), [f"sip:user{n}@example.test" for n in range(count)]
    held.apply(UserDocument(ORG, POOL1, 3, verifiers={BOB: _verifier(BOB, 1)}, homes={ALICE: POOL2, CAROL: POOL2}))
    verifiers = {aor: _verifier(aor, 2) for aor in (*aors[:-2], ALICE)}
    change = held.plan(UserDocument(ORG, POOL1, 4, 3, verifiers=verifiers, gone=frozenset({BOB})))
    assert change is not None
    assert (change.users is None) is (count == MOST_IN_PLACE)
    assert held.number == 3
    assert held.commit(change) == {*verifiers, BOB}
    assert (held.number, held.verifier(BOB), held.home(ALICE), held.home(CAROL)) == (4, None, POOL1, POOL2)
    assert held.verifier(ALICE) == verifiers[ALICE]


def test_changes_since_an_earlier_number_contain_those_since_ours(users: Users) -> None:
    """Management sends them to a server that has put a change in force, and could not store it."""
    held = ReplicatedUsers(ORG, POOL1)
    fed(users, held)
    since = held.number
    for password in ("second", "third"):
        users.set_password(ALICE, password)
        users.refresh()
        assert fed(users, held, since=since) == {ALICE}
        assert held.verifier(ALICE) == users.verifier(ALICE)


def test_withheld_user_cannot_log_in_until_the_number_is_in_force(users: Users) -> None:
    held = ReplicatedUsers(ORG, POOL1)
    fed(users, held)
    held.withhold(frozenset({ALICE}), held.number + 2)
    users.add(CAROL, "carol-pw", pool=POOL1)
    users.refresh()
    assert fed(users, held, since=held.number) == {CAROL}
    assert (held.is_withheld(ALICE), held.verifier(ALICE), held.home(ALICE)) == (True, None, POOL1)
    assert (held.is_withheld(CAROL), held.verifier(CAROL)) == (False, users.verifier(CAROL))
    users.set_password(ALICE, "new")
    users.refresh()
    fed(users, held, since=held.number)
    assert (held.is_withheld(ALICE), held.verifier(ALICE)) == (False, users.verifier(ALICE))


def test_parts_of_another_number_are_dropped(users: Users) -> None:
    verifiers = {f"sip:u{n}@example.test": _verifier(f"sip:u{n}@example.test", n) for n in range(1, 21)}
    held = ReplicatedUsers(ORG, POOL1)
    first, _ = UserDocument(ORG, POOL1, 30, verifiers=verifiers).divided(10)
    _, second = UserDocument(ORG, POOL1, 31, verifiers=verifiers).divided(10)
    held.accept_document(first.encode())
    held.accept_document(second.encode())
    assert held.number == 0
    assert fed(users, held) == {ALICE}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"pool": POOL2}, "were sent to"),
        ({"organisation": "Other"}, "were sent to"),
        ({"number": 1}, "after number"),
        ({"number": 9, "since": 8}, "in force"),
        ({"format": 2}, "another release"),
        ({"number": True}, "another release"),
        ({"part": 2}, "another release"),
        ({"since": 99}, "another release"),
        ({"users": [{"aor": "alice@example.test", "generation": 1}]}, "another release"),
        ({"users": [{"aor": "alice@example.test", "generation": 1, "md5": "x" * 32}]}, "another release"),
        ({"users": [{"aor": "", "generation": 1, "md5": "a" * 32}]}, "another release"),
        ({"homes": {POOL2: [7]}}, "another release"),
        ({"gone": 7}, "another release"),
    ],
)
def test_foreign_older_or_inconsistent_document_changes_nothing(
    users: Users, changes: dict[str, Any], why: str
) -> None:
    """Its control, the unchanged document, is accepted."""
    held = ReplicatedUsers(ORG, POOL1)
    fed(users, held)
    number = held.number
    users.set_password(ALICE, "new")
    [whole] = users.documents(ORG, POOL1, POOL1)
    before = held.verifier(ALICE)
    with pytest.raises(OperatorError, match=why):
        held.accept_document(spoilt(whole, **changes))
    assert (held.number, held.verifier(ALICE)) == (number, before)
    assert held.accept_document(whole) == {ALICE}


@pytest.mark.parametrize("document", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"format":1}'])
def test_malformed_document_is_refused(document: bytes) -> None:
    with pytest.raises(OperatorError, match="cannot be read"):
        ReplicatedUsers(ORG, POOL1).accept_document(document)


NAMES = st.text(min_size=1, max_size=8).map(lambda name: f"sip:{name}@a.test")


@given(own=st.sets(NAMES), others=st.sets(NAMES), gone=st.sets(NAMES), most=st.integers(1, 5))
def test_written_users_are_read(own: set[str], others: set[str], gone: set[str], most: int) -> None:
    roster = UserDocument(
        ORG,
        POOL1,
        7,
        3,
        verifiers={aor: _verifier(aor, 5) for aor in own},
        homes=dict.fromkeys(others - own, POOL2),
        gone=frozenset(gone - own - others),
    )
    read = [UserDocument.decode(part.encode()) for part in roster.divided(most)]
    assert {aor: one for part in read for aor, one in part.verifiers.items()} == roster.verifiers
    assert {aor: one for part in read for aor, one in part.homes.items()} == roster.homes
    assert frozenset[str]().union(*(part.gone for part in read)) == roster.gone


def test_largest_part_fits_into_one_message() -> None:
    """With base64 and a certificate chain: a server accepts a body of at most 5 MB."""
    verifiers = {
        aor: _verifier(aor, 99_999)
        for n in range(MOST_IN_A_PART)
        if (aor := f"sip:firstname.lastname{n}@a.example.com")
    }
    [part] = UserDocument(ORG, POOL1, 100_000, verifiers=verifiers).divided()
    assert len(part.encode()) * 4 / 3 + 20_000 < 5_000_000


def _verifier(aor: str, generation: int) -> Verifier:
    return Verifier(aor, generation, {Algorithm.SHA_256: "a" * 64, Algorithm.MD5: "b" * 32})
