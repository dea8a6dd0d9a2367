"""Whom a user finds in the database, and which password is that of a device."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.storage.users.invitations import Invitations
from sipmesh.storage.users.phonebook import device_of, found_by, has_password
from sipmesh.storage.users.user_database import Users
from support.network import POOL, POOL2, build_two_pools

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(name="users")
def _users(tmp_path: Path) -> Iterator[Users]:
    users = Users(tmp_path / "users.db")
    users.add(ALICE, "secret", pool=POOL)
    users.add(BOB, "secret", pool=POOL2)
    users.add_alias(BOB, "+493012345")
    yield users
    users.close()


@pytest.mark.parametrize(
    ("scope", "finds"), [("organisation", True), ("domain", True), ("pool", False), ("off", False)]
)
def test_scope_of_the_topology_counts(users: Users, tmp_path: Path, scope: str, *, finds: bool) -> None:
    organisation = build_two_pools(tmp_path / "o")
    organisation.document["user_search"] = scope
    organisation.write()
    topology = organisation.load().topology
    with users.reading() as db:
        for word in ("bob", "+4930"):
            found = [(one.address, one.numbers) for one in found_by(db, topology, ALICE, word, 20)]
            assert found == [("bob@example.test", ("+493012345",))] * finds
        assert not found_by(db, topology, ALICE, "example", 20)


def test_password_of_a_device_counts_until_the_user_is_disabled(users: Users) -> None:
    taken = Invitations(users).give_password(ALICE, "desk", "by-hand", "", NOW)
    tried = [("alice+desk", taken.password), ("alice+desk", "x"), ("alice", "secret"), ("alice+lab", taken.password)]

    def is_device(aor: str, login: str, password: str) -> bool:
        with users.reading() as db:
            device = device_of(db, aor, login)
        return device is not None and has_password(device, aor, login, password)

    def which() -> list[bool]:
        return [is_device(ALICE, login, password) for login, password in tried]

    assert which() == [True, False, False, False]
    assert not is_device(BOB, "alice+desk", taken.password)
    assert not is_device("sip:nobody@example.test", "nobody+desk", taken.password)
    users.disable(ALICE, NOW)
    assert which() == [False] * 4
