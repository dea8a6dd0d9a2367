"""Rules of calls in the row of a user: known to servers, in documents, and a block of all calls if they cannot be read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sipmesh.routing.call_rules.call_rules import EVERYBODY, NO_RULES, CallerRule, CallRules, GroupOrder
from sipmesh.storage.users import user_tables as tables
from sipmesh.storage.users.call_rule_rows import call_rules_in, rules_for_servers, set_call_rules
from sipmesh.storage.users.replicated_users import ReplicatedUsers
from sipmesh.storage.users.user_database import Users

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
RULES = CallRules(busy=BOB, ring_s=20, also=(BOB,), callers={EVERYBODY: CallerRule.BLOCK})


def put(users: Users, rules: CallRules) -> None:
    with users.changing(ALICE) as (db, _):
        set_call_rules(db, ALICE, rules)


def test_servers_know_no_delegates_of_a_disabled_user_and_all_other_rules() -> None:
    rules = replace(RULES, delegates=(BOB,))
    row = {"call_rules": json.dumps(rules.as_json())}
    assert rules_for_servers({**row, "is_disabled": False}) == call_rules_in(row) == rules
    assert rules_for_servers({**row, "is_disabled": True}) == RULES


def test_rules_are_known_to_a_server_after_its_next_look_and_logins_stay(users: Users, server: Users) -> None:
    users.add(ALICE, "alice-pw")
    server.refresh()
    verifier = server.verifier(ALICE)
    assert server.call_rules(ALICE) is None
    put(users, RULES)
    assert server.refresh() == {ALICE}
    assert server.call_rules(ALICE) == users.get(ALICE).calls == users.list()[0].calls == RULES
    assert server.verifier(ALICE) == verifier
    users.set_password(ALICE, "another-pw")
    server.refresh()
    assert server.call_rules(ALICE) == RULES
    put(users, NO_RULES)
    server.refresh()
    assert server.call_rules(ALICE) is None


def test_documents_have_the_rules_of_the_users_of_a_pool_and_of_no_others(users: Users) -> None:
    users.add(ALICE, "alice-pw", pool="pool1")
    put(users, RULES)
    for pool, known in (("pool1", RULES), ("pool2", None)):
        replicated = ReplicatedUsers("Example", pool)
        for document in users.documents("Example", pool, "pool1"):
            replicated.accept_document(document)
        assert replicated.call_rules(ALICE) == known
        whole = replicated.whole()
        assert whole is not None
        assert whole.calls == ({ALICE: RULES} if known is not None else {})


def test_rules_that_are_removed_are_gone_with_the_next_document(users: Users) -> None:
    users.add(ALICE, "alice-pw", pool="pool1")
    put(users, RULES)
    replicated = ReplicatedUsers("Example", "pool1")
    assert replicated.call_rules(ALICE) is None
    for document in users.documents("Example", "pool1", "pool1"):
        replicated.accept_document(document)
    put(users, NO_RULES)
    for document in users.documents("Example", "pool1", "pool1", since=replicated.number):
        replicated.accept_document(document)
    assert replicated.call_rules(ALICE) is None


WRONG = [
    7,
    b"{}",
    "",
    "{",
    "[]",
    '{"ring_s": -1}',
    '{"busy": 3}',
    '{"also": "x"}',
    '{"do_not_disturb": "yes"}',
    "\ud800",
]


@pytest.mark.parametrize("text", WRONG)
def test_rules_that_no_command_has_written_block_all_calls(text: object) -> None:
    """Rule R12: one of them may have been a block."""
    found = call_rules_in({"call_rules": text})
    assert {found.rule_for(caller) for caller in (BOB, "anonymous", "sip:erin@partner.test")} == {CallerRule.BLOCK}
    assert call_rules_in({"call_rules": None}) is NO_RULES


@pytest.mark.parametrize("text", ["{", '{"do_not_disturb": 1}'])
def test_rules_that_cannot_be_read_go_to_servers_as_a_block(users: Users, server: Users, text: str) -> None:
    users.add(ALICE, "alice-pw", pool="pool1")
    with users.changing(ALICE) as (db, _):
        db.execute(tables.USERS.update().where(tables.USERS.c.aor == ALICE).values(call_rules=text))
    server.refresh()
    replicated = ReplicatedUsers("Example", "pool1")
    for document in users.documents("Example", "pool1", "pool1"):
        replicated.accept_document(document)
    for found in (server.call_rules(ALICE), replicated.call_rules(ALICE)):
        assert found is not None
        assert found.rule_for(BOB) is CallerRule.BLOCK


def test_groups_are_in_the_documents_of_all_pools_and_lose_users_who_are_removed(users: Users) -> None:
    for user in (ALICE, BOB):
        users.add(user, "some-pw", pool="pool1")
    group = CallRules(order=GroupOrder.ALL, members=(BOB, ALICE), ring_s=60, member_s=15)
    put(users, group)
    replicated = ReplicatedUsers("Example", "pool2")
    for document in users.documents("Example", "pool2", "pool1"):
        replicated.accept_document(document)
    assert replicated.call_rules(ALICE) == group
    users.remove(BOB)
    for document in users.documents("Example", "pool2", "pool1", since=replicated.number):
        replicated.accept_document(document)
    assert replicated.call_rules(ALICE) == replace(group, members=(ALICE,))
    users.add(BOB, "another-person")
    assert users.get(ALICE).calls.members == (ALICE,)


def test_other_pools_learn_the_delegates_of_a_user_and_no_other_rule(users: Users) -> None:
    for user in (ALICE, BOB):
        users.add(user, "some-pw", pool="pool1")
    put(users, replace(RULES, delegates=(BOB,)))
    replicated = ReplicatedUsers("Example", "pool2")
    for document in users.documents("Example", "pool2", "pool1"):
        replicated.accept_document(document)
    assert replicated.call_rules(ALICE) == CallRules(delegates=(BOB,))
    users.remove(BOB)
    for document in users.documents("Example", "pool2", "pool1", since=replicated.number):
        replicated.accept_document(document)
    assert replicated.call_rules(ALICE) is None
    assert users.get(ALICE).calls == replace(RULES, busy="", also=())
