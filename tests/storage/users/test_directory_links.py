"""Steps of a sync in the user database: each in one transaction, for the users that it was made for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.users.directory_entry import DirectoryEntry, DirectoryLink, DirectoryStep, StepKind
from sipmesh.storage.users.directory_links import DirectoryLinks
from sipmesh.storage.users.user_database import Users
from storage.databases import shell

AT = datetime(2026, 12, 1, tzinfo=UTC)
ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"


def add(aor: str, dn: str = "", name: str = "") -> DirectoryStep:
    return DirectoryStep(StepKind.ADD, DirectoryEntry(f"id {aor}", aor, dn, name), None)


def test_user_of_the_directory_has_a_random_password(url: str) -> None:
    users = Users(url)
    links = DirectoryLinks(users)
    links.take([add(ALICE, name="Alice"), add(BOB)], AT)
    assert [user.aor for user in users.list()] == [ALICE, BOB]
    assert users.refresh() == {ALICE, BOB}
    with shell(url) as db:
        hashes = db.exec_driver_sql("SELECT ha1_sha256, ha1_md5 FROM users").all()
    assert len({one for row in hashes for one in row if one}) == 4
    link = links.link_of(ALICE)
    assert link == DirectoryLink(f"id {ALICE}", ALICE, AT, name="Alice")
    users.close()


def test_steps_of_one_transaction_are_all_taken_or_none(url: str) -> None:
    users = Users(url)
    users.add(BOB, "bob-secret")
    links = DirectoryLinks(users)
    with pytest.raises(OperatorError, match="is a name of"):
        links.take([add(ALICE), add(BOB)], AT)
    assert ([user.aor for user in users.list()], links.held().links) == ([BOB], {})
    links.take([add(ALICE)], AT)
    assert [user.aor for user in users.list()] == [ALICE, BOB]
    users.close()


def test_each_changed_user_has_a_number_so_that_servers_receive_both_names(url: str) -> None:
    users = Users(url)
    links = DirectoryLinks(users)
    links.take([add(ALICE), add(BOB)], AT)
    users.refresh()
    number, link = users.number, links.held().links[f"id {ALICE}"]
    entry = DirectoryEntry(link.id, "sip:alicia@example.test")
    links.take([DirectoryStep(StepKind.RENAME, entry, link)], AT)
    assert users.refresh() == {ALICE, "sip:alicia@example.test"}
    assert users.number == number + 2
    assert users.verifier(ALICE) is None
    assert links.held().links[link.id].to_revoke == (ALICE,)
    users.close()
