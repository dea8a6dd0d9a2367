"""The steps and the conflicts of a comparison: whose a name is, and who loses access."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sipmesh.server.directory.comparison import Comparison, Loss, compare
from sipmesh.server.directory.entry_reader import Answer, Unusable
from sipmesh.storage.users.directory_entry import DirectoryEntry, DirectoryLink, StepKind
from sipmesh.storage.users.directory_links import HeldUser, HeldUsers

AT = datetime(2026, 12, 1, tzinfo=UTC)


def aor(name: str) -> str:
    return f"sip:{name}@example.test"


def entry(name: str, identity: str = "", **given: Any) -> DirectoryEntry:
    return DirectoryEntry(identity or f"id-{name}", aor(name), **given)


def link(name: str, identity: str = "", **given: Any) -> DirectoryLink:
    return DirectoryLink(identity or f"id-{name}", aor(name), AT - timedelta(days=9), **given)


def user(name: str, *aliases: str, is_disabled: bool = False, pool: str | None = None) -> HeldUser:
    return HeldUser(aor(name), pool, aliases, is_disabled)


def compared(
    entries: Sequence[DirectoryEntry], users: Sequence[HeldUser] = (), links: Sequence[DirectoryLink] = (), **more: Any
) -> Comparison:
    held = HeldUsers({one.aor: one for one in users}, {one.id: one for one in links})
    return compare(Answer(entries, **more), held, AT)


def told(found: Comparison) -> tuple[list[tuple[str, str]], list[str]]:
    steps = [(str(step.kind), step.aor.removeprefix("sip:").partition("@")[0]) for step in found.steps]
    return steps, [f"{one.user.partition('@')[0]}: {one.reason}" for one in found.conflicts]


def test_two_entries_of_one_name_are_both_not_taken() -> None:
    steps, conflicts = told(compared([entry("alice", "1"), entry("ALICE", "2"), entry("bob")]))
    assert steps == [("add", "bob")]
    assert all("several entries have this name" in one for one in conflicts)
    assert told(compared([entry("alice", "1"), entry("bob")]))[0] == [("add", "alice"), ("add", "bob")]


def test_user_who_has_the_name_already_keeps_it_beside_another_entry_of_it() -> None:
    entries = [entry("alice", "1"), entry("alice", "2")]
    steps, conflicts = told(compared(entries, [user("alice")], [link("alice", "1")]))
    assert (steps, len(conflicts)) == ([], 1)


def test_number_of_two_new_entries_is_given_to_none_and_that_of_a_user_stays() -> None:
    tel = "tel:+49301"
    both = compared([entry("alice", aliases=(tel,)), entry("bob", aliases=(tel,))])
    assert [step.adds for step in both.steps] == [(), ()]
    assert all("none gets it" in one.reason for one in both.conflicts)
    held = compared(
        [entry("alice", aliases=(tel,)), entry("bob", aliases=(tel,))],
        [user("alice", tel)],
        [link("alice", aliases=(tel,))],
    )
    assert told(held) == ([("add", "bob")], ["bob: tel:+49301 is a name of alice@example.test, who keeps it"])
    assert compared([entry("alice", aliases=(tel,))]).steps[0].adds == (tel,)


def test_name_of_an_entry_that_is_an_alias_of_a_local_user_is_not_taken() -> None:
    steps, conflicts = told(compared([entry("alice")], [user("bob", aor("alice"))]))
    assert (steps, conflicts) == ([], ["alice: is an alias of bob@example.test"])


def test_rename_to_a_name_of_another_user_is_refused_and_to_a_free_one_is_taken() -> None:
    known = [user("alice"), user("bob")], [link("alice", "1")]
    steps, conflicts = told(compared([entry("bob", "1")], *known))
    assert (steps, "is a name of bob" in conflicts[0]) == ([], True)
    assert told(compared([entry("carol", "1")], *known)) == ([("rename", "carol")], [])


def test_entry_that_cannot_be_read_keeps_its_user_unless_it_gives_no_access() -> None:
    known = [user("alice"), user("bob")], [link("alice"), link("bob")]
    unusable = {"id-alice": Unusable("cn=a", "odd"), "id-bob": Unusable("cn=b", "odd", "disabled")}
    assert told(compared([], *known, unusable=unusable))[0] == [("disable", "bob")]


def test_entry_with_another_id_changes_no_user_unless_it_gives_no_access() -> None:
    known = [user("alice")], [link("alice", "old")]
    steps, conflicts = told(compared([entry("alice", "new")], *known))
    assert (steps, "another id than before" in conflicts[0]) == ([], True)
    assert told(compared([entry("alice", "new", ended_by="disabled")], *known))[0] == [("disable", "alice")]


def test_name_of_a_user_who_was_removed_is_for_an_operator_to_give() -> None:
    known = [user("alice", is_disabled=True)], [link("alice", "old", ended_by="removed")]
    steps, conflicts = told(compared([entry("alice", "new")], *known))
    assert (steps, conflicts) == ([], ["alice: is a user of an entry that is gone"])


def test_disabled_entry_without_a_user_gives_none() -> None:
    assert told(compared([entry("alice", ended_by="disabled")])) == ([], [])


def test_user_who_was_removed_here_without_the_link_is_a_conflict() -> None:
    assert told(compared([entry("alice")], [], [link("alice")])) == ([], ["alice: was removed here"])


@pytest.mark.parametrize(
    ("users", "lost", "before", "is_beyond"),
    [
        (10, 0, 5, False),
        (10, 2, 0, False),
        (10, 3, 0, True),
        (8, 1, 2, True),
        (9, 1, 1, False),
        (1, 1, 0, False),
        (2, 2, 0, True),
        (5, 1, 0, False),
        (100_000, 20_000, 0, False),
        (100_000, 20_001, 0, True),
    ],
)
def test_loss_is_counted_over_a_day(users: int, lost: int, before: int, is_beyond: bool) -> None:  # noqa: FBT001
    assert Loss(users, lost, before).is_beyond(20) is is_beyond


def test_renames_count_as_loss() -> None:
    """An attribute that was changed in the topology renames all users."""
    names = [f"u{n}" for n in range(5)]
    found = compared(
        [entry(f"{name}x", f"id-{name}") for name in names],
        [user(name) for name in names],
        [link(name) for name in names],
    )
    assert {step.kind for step in found.steps} == {StepKind.RENAME}
    assert found.loss == Loss(5, 5, 0)
