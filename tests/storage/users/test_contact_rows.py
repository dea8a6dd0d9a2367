"""Contacts are those of one user: they go with the user, follow a new name, and never become those of a later user."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.users import contact_tables
from sipmesh.storage.users.contact import Contact, made_contact
from sipmesh.storage.users.contact_rows import (
    MOST_CONTACTS,
    FullError,
    changes_of,
    contact_of,
    contacts_of,
    put_contact,
    remove_contact,
    rename_contacts,
)
from sipmesh.storage.users.user_database import Users

ALICE, BOB, ROBERT = "sip:alice@example.test", "sip:bob@example.test", "sip:robert@example.test"


def contact(contact_id: str = "c1", address: str = "bob@example.test") -> Contact:
    return made_contact(contact_id, "Bob", address, ["112"], ["Work"])


def put(users: Users, aor: str, *those: Contact) -> None:
    with users.locked() as db:
        for one in those:
            put_contact(db, aor, one)


def held(users: Users, aor: str) -> list[Contact]:
    with users.reading() as db:
        return list(contacts_of(db, aor))


def changes(users: Users, aor: str) -> int:
    with users.reading() as db:
        return changes_of(db, aor)


def test_each_change_counts_and_concerns_one_user(users: Users) -> None:
    for aor in (ALICE, BOB):
        users.add(aor, "pw")
    users.refresh()
    number, before = users.number, changes(users, ALICE)
    put(users, ALICE, contact("c1"), contact("c2"))
    assert held(users, ALICE) == [contact("c1"), contact("c2")]
    assert (held(users, BOB), changes(users, BOB)) == ([], before)
    with users.locked() as db:
        assert contact_of(db, BOB, "c1") is None
        assert not remove_contact(db, BOB, "c1")
        assert remove_contact(db, ALICE, "c1")
    assert (held(users, ALICE), changes(users, ALICE) - before) == ([contact("c2")], 3)
    users.refresh()
    assert users.number == number  # no server has to know of it


def test_contacts_end_with_their_user_and_a_later_one_of_the_name_has_none(users: Users) -> None:
    users.add(ALICE, "pw")
    put(users, ALICE, contact())
    users.remove(ALICE)
    with pytest.raises(OperatorError, match="not a user"):
        put(users, ALICE, contact())
    users.add(ALICE, "pw")
    assert held(users, ALICE) == []


def test_user_who_is_renamed_keeps_the_contacts_and_is_found_in_those_of_others(users: Users) -> None:
    for aor in (ALICE, BOB):
        users.add(aor, "pw")
    put(users, ALICE, contact(), contact("c2", "bobby@example.test"))
    put(users, BOB, contact("c3", "alice@example.test"))
    before = changes(users, ALICE)
    with users.changing(BOB) as (db, _):
        rename_contacts(db, BOB, ROBERT)
    assert [one.address for one in held(users, ALICE)] == ["robert@example.test", "bobby@example.test"]
    assert (held(users, BOB), len(held(users, ROBERT)), changes(users, ALICE)) == ([], 1, before + 1)


def test_bound_is_for_each_user_and_a_full_list_can_be_changed(users: Users) -> None:
    for aor in (ALICE, BOB):
        users.add(aor, "pw")
    put(users, ALICE, *(contact(f"c{n}") for n in range(MOST_CONTACTS)))
    with pytest.raises(FullError, match="the limit"):
        put(users, ALICE, contact("more"))
    put(users, ALICE, contact("c7", "carol@example.test"))
    put(users, BOB, contact())
    assert len(held(users, ALICE)) == MOST_CONTACTS


def test_rows_that_no_release_has_written_are_left_out(users: Users) -> None:
    users.add(ALICE, "pw")
    put(users, ALICE, contact())
    row = {"aor": ALICE, "uid": "u", "name": "x", "address": "", "about": "{}"}
    with users.locked() as db:
        for n, wrong in enumerate([{"about": "["}, {"about": '{"numbers": 7}'}, {"name": "a\x1b"}, {"address": "?"}]):
            db.execute(contact_tables.CONTACTS.insert().values({**row, "id": f"w{n}", **wrong}))
    assert held(users, ALICE) == [contact()]
