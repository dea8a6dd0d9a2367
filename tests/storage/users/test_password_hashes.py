"""A password is stored as one hash for each algorithm, and a disabled user has hashes that no password has."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.errors import OperatorError
from sipmesh.sip.digest import Algorithm, ha1
from sipmesh.sip.uri import SipUri
from sipmesh.storage.users.password_hashes import password_hashes, unknown_hashes
from sipmesh.storage.users.user_database import Users

ALICE = "sip:alice@example.test"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_a_user_has_a_verifier_for_each_algorithm_strongest_first(users: Users, server: Users) -> None:
    users.add("alice@example.test", "alice-pw")
    server.refresh()
    verifier = server.verifier(ALICE)
    assert verifier is not None
    assert list(verifier.ha1) == [Algorithm.SHA_256, Algorithm.MD5]
    assert verifier.ha1[Algorithm.MD5] == ha1("alice", "example.test", "alice-pw", Algorithm.MD5)


def test_a_user_with_md5_has_md5_alone(users: Users, server: Users) -> None:
    """Debian's baresip supports only an MD5 challenge."""
    users.add(ALICE, "alice-pw", [Algorithm.MD5])
    server.refresh()
    verifier = server.verifier(ALICE)
    assert verifier is not None
    assert list(verifier.ha1) == [Algorithm.MD5]


def test_an_empty_password_is_refused(users: Users) -> None:
    with pytest.raises(OperatorError, match="no password"):
        users.add(ALICE, "")


def test_disabled_user_has_hashes_that_no_password_has(users: Users, server: Users) -> None:
    """Of the same algorithms, so that nothing tells a disabled user from one with another password."""
    first = users.add(ALICE, "alice-pw")
    server.refresh()
    before = server.verifier(ALICE)
    assert users.disable(ALICE, NOON).generation > first.generation
    assert server.refresh() == {ALICE}
    after = server.verifier(ALICE)
    assert before is not None
    assert after is not None
    assert after.generation > before.generation
    assert {algorithm: len(ha1) for algorithm, ha1 in after.ha1.items()} == {
        algorithm: len(ha1) for algorithm, ha1 in before.ha1.items()
    }
    assert not set(after.ha1.values()) & set(before.ha1.values())
    assert (users.get(ALICE).disabled, [user.disabled for user in users.list()]) == (NOON, [NOON])
    users.enable(ALICE)
    server.refresh()
    again = server.verifier(ALICE)
    assert again is not None
    assert (again.ha1, users.get(ALICE).disabled) == (before.ha1, None)
    assert again.generation > after.generation


def test_algorithm_that_is_not_used_has_an_empty_column() -> None:
    hashes = password_hashes(SipUri.parse(ALICE), "alice-pw", [Algorithm.MD5], "realm.test")
    assert hashes == {"ha1_sha256": None, "ha1_md5": ha1("alice", "realm.test", "alice-pw", Algorithm.MD5)}
    unknown = unknown_hashes(hashes)
    assert (unknown["ha1_sha256"], len(unknown["ha1_md5"] or "")) == (None, 32)
