"""The rules of a user about watchers: set, replaced, removed, and limited."""

from __future__ import annotations

import pytest
import sqlalchemy as sql

from sipmesh.errors import OperatorError
from sipmesh.routing.events.watcher_rules import MOST_RULES, NO_RULES
from sipmesh.storage.users.user_database import Users
from sipmesh.storage.users.watcher_rows import rename_watcher
from sipmesh.topology.document.watching import Watching
from storage.databases import only_sqlite

ALICE = "sip:alice@example.test"
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


def test_rules_follow_a_watcher_who_is_renamed_and_the_rule_that_shows_less_counts(users: Users) -> None:
    for name in ("alice", "dora", "erik"):
        users.add(f"{name}@example.test", "pw")
    users.set_watcher("alice@example.test", "bob", Watching.BLOCK)
    for name, rule in (("bob", Watching.ALLOW), ("robert", Watching.POLITE_BLOCK)):
        users.set_watcher("dora@example.test", name, rule)
    users.set_watcher("erik@example.test", "robert", Watching.ALLOW)
    with users.locked() as db:
        assert set(rename_watcher(db, "sip:bob@example.test", "sip:robert@example.test")) == {
            ALICE,
            "sip:dora@example.test",
        }
    robert = "sip:robert@example.test"
    told = [user.watchers for user in users.list()]
    assert told == [{robert: Watching.BLOCK}, {robert: Watching.POLITE_BLOCK}, {robert: Watching.ALLOW}]
    with users.locked() as db:
        assert len(rename_watcher(db, robert, "")) == 3
    assert [user.watchers for user in users.list()] == [{}, {}, {}]


@only_sqlite
def test_user_has_as_many_rules_as_the_limit_at_most(users: Users) -> None:
    users.add(ALICE, "alice-pw")
    with users._engine.begin() as db:
        rows = [{"aor": ALICE, "watcher": f"sip:{n}@b.test", "rule": "block"} for n in range(MOST_RULES - 1)]
        db.execute(sql.text("INSERT INTO users_watchers VALUES (:aor, :watcher, :rule)"), rows)
    users.set_watcher(ALICE, "bob", Watching.BLOCK)
    users.set_watcher(ALICE, "bob", Watching.ALLOW)
    with pytest.raises(OperatorError, match="which is the limit"):
        users.set_watcher(ALICE, "carol", Watching.BLOCK)
    assert len(users.get(ALICE).watchers) == MOST_RULES
