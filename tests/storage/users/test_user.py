"""A user is shown with everything but the password."""

from __future__ import annotations

from datetime import timedelta

from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.user_database import Users

ALICE = "sip:alice@example.test"


def test_list_contains_no_hashes(users: Users) -> None:
    users.add("sip:bob@example.test", "bob-pw")
    alice = users.add(ALICE, "alice-pw", [Algorithm.SHA_256])
    assert [user.aor for user in users.list()] == [ALICE, "sip:bob@example.test"]
    assert users.list()[0] == alice
    assert users.list()[0].created.utcoffset() == timedelta(0)
