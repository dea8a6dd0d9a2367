"""Links as rows: copied with the users, gone with the user, and read with care."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sipmesh.storage.users.directory_entry import DirectoryEntry, DirectoryStep, StepKind
from sipmesh.storage.users.directory_links import DirectoryLinks
from sipmesh.storage.users.directory_tables import LINKS
from sipmesh.storage.users.user_database import Users
from storage.databases import shell

AT = datetime(2026, 12, 1, tzinfo=UTC)
ALICE = "sip:alice@example.test"


def add(aor: str, dn: str = "") -> DirectoryStep:
    return DirectoryStep(StepKind.ADD, DirectoryEntry(f"id {aor}", aor, dn), None)


def test_removed_user_is_linked_with_no_entry_any_more(url: str) -> None:
    users = Users(url)
    links = DirectoryLinks(users)
    links.take([add(ALICE)], AT)
    users.remove(ALICE)
    assert links.held().links == {}
    users.close()


def test_links_are_copied_with_the_users(tmp_path: Path) -> None:
    users, copy = Users(tmp_path / "a.db"), Users(tmp_path / "b.db")
    DirectoryLinks(users).take([add(ALICE, dn="cn=a")], AT)
    users.copy_to(copy)
    assert DirectoryLinks(copy).held().links == DirectoryLinks(users).held().links
    users.close()
    copy.close()


def test_link_that_cannot_be_read_has_no_aliases(url: str) -> None:
    """A client that can write to the database can write any value."""
    users = Users(url)
    links = DirectoryLinks(users)
    links.take([add(ALICE)], AT)
    for text in ("no json", "{}", "[1]"):
        with shell(url) as db:
            db.execute(LINKS.update().values(aliases=text))
        assert links.held().links[f"id {ALICE}"].aliases == ()
    users.close()
