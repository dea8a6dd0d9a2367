"""One entry at a time: conflicts and losses change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.server.directory.entry_sync import EntryConflictError, EntrySync, TooManyLossesError
from sipmesh.storage.users.directory_entry import DirectoryEntry, Ended, StepKind
from sipmesh.storage.users.directory_links import DirectoryLinks
from sipmesh.storage.users.user_database import Users

NOW = datetime(2026, 12, 1, tzinfo=UTC)
CAROL = DirectoryEntry("1", "sip:carol@example.test", aliases=("tel:+49301",))


@pytest.fixture(name="users")
def _users(tmp_path: Path) -> Iterator[Users]:
    users = Users(tmp_path / "users.db")
    users.add("alice@example.test", "secret")
    yield users
    users.close()


def changed(users: Users, entry_id: str, entry: DirectoryEntry | None, *, accept_loss: bool = False) -> list[StepKind]:
    """Change one entry, and give the kinds of the steps."""
    sync, stored = EntrySync(DirectoryLinks(users), 20, lambda _steps, _at: None), list[str]()
    counts = sync.change(entry_id, entry, NOW, lambda _db: stored.append(entry_id), accept_loss=accept_loss)
    assert stored == [entry_id]
    return list(counts)


def test_disabled_user_is_added_and_disabled_and_enabled_with_another_name(users: Users) -> None:
    off = DirectoryEntry("1", CAROL.aor, aliases=CAROL.aliases, ended_by=Ended.DISABLED)
    assert changed(users, "1", off) == [StepKind.ADD, StepKind.DISABLE]
    assert changed(users, "1", DirectoryEntry("1", "sip:caro@example.test")) == [StepKind.ENABLE, StepKind.RENAME]
    assert changed(users, "1", None) == [StepKind.DISABLE]
    assert changed(users, "1", None) == []


@pytest.mark.parametrize(
    "entry",
    [
        DirectoryEntry("2", "sip:alice@example.test"),
        DirectoryEntry("2", "sip:carol@example.test"),
        DirectoryEntry("2", "sip:dave@example.test", aliases=("tel:+49301",)),
        DirectoryEntry("2", "sip:dave@example.test", aliases=("tel:+49301",), ended_by=Ended.DISABLED),
    ],
)
def test_conflict_changes_nothing_also_for_a_disabled_user(users: Users, entry: DirectoryEntry) -> None:
    changed(users, "1", CAROL)
    before = users.list()
    with pytest.raises(EntryConflictError):
        changed(users, "2", entry)
    assert users.list() == before
    assert changed(users, "2", DirectoryEntry("2", "sip:dave@example.test", aliases=("tel:+49302",))) == [StepKind.ADD]


def test_losses_beyond_the_bound_change_nothing_until_they_are_accepted(users: Users) -> None:
    for n in range(10):
        changed(users, str(n), DirectoryEntry(str(n), f"sip:u{n}@example.test"))
    assert [changed(users, str(n), None) for n in range(2)] == [[StepKind.DISABLE]] * 2
    with pytest.raises(TooManyLossesError, match="2 of 10 users"):
        changed(users, "2", None)
    assert changed(users, "2", None, accept_loss=True) == [StepKind.DISABLE]
