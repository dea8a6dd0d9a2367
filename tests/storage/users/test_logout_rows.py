"""Logouts of users at the OpenID provider: which access tokens they end, in the database and in documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.storage.users.logout_rows import KEPT_S, MOST_LOGOUTS
from sipmesh.storage.users.user_database import Users
from sipmesh.storage.users.user_document import UserDocument

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
POOL = "pool1.example.test"
AT = 1_800_000_000


@pytest.fixture(name="users")
def _users(tmp_path: Path) -> Iterator[Users]:
    users = Users(tmp_path / "users.db")
    for aor in (ALICE, BOB):
        users.add(aor, "a-secret", pool=POOL)
    yield users
    users.close()


def verifier(users: Users, aor: str = ALICE) -> Verifier:
    """Give what a server of the pool reads in the documents, as `refresh` gives it here."""
    parts = [UserDocument.decode(part) for part in users.documents("example.test", POOL, POOL)]
    sent = {one: known for part in parts for one, known in part.verifiers.items()}
    users.refresh()
    assert users.verifier(aor) == sent[aor]
    return sent[aor]


@pytest.mark.parametrize(
    ("logged_out", "token", "ended"),
    [
        ("", (AT, ""), True),
        ("", (AT + 1, ""), False),
        ("", (AT, "one"), True),
        ("", (AT + 1, "one"), False),
        ("one", (AT + 1, "one"), True),
        ("one", (AT, "two"), False),
        ("one", (AT, ""), True),
        ("one", (AT + 1, ""), False),
    ],
)
def test_logout_ends_the_tokens_of_its_session_or_those_from_before(
    users: Users, logged_out: str, token: tuple[int, str], *, ended: bool
) -> None:
    """A token that names no session may be of the session that has ended."""
    assert not verifier(users).has_ended(*token)
    users.end_tokens(ALICE, logged_out, AT)
    assert verifier(users).has_ended(*token) is ended
    assert not verifier(users, BOB).has_ended(*token)


def test_old_logout_is_forgotten_and_an_earlier_one_changes_nothing(users: Users) -> None:
    users.end_tokens(ALICE, "", AT)
    users.end_tokens(ALICE, "", AT - 10)
    assert verifier(users).logouts == {"": AT}
    users.end_tokens(ALICE, "one", AT + KEPT_S)
    assert verifier(users).logouts == {"one": AT + KEPT_S}


def test_more_logouts_than_are_kept_end_more_tokens_and_not_fewer(users: Users) -> None:
    for number in range(MOST_LOGOUTS):
        users.end_tokens(ALICE, f"s{number}", AT + number)
    assert len(verifier(users).logouts) == MOST_LOGOUTS
    users.end_tokens(ALICE, "one more", AT + 100)
    known = verifier(users)
    assert len(known.logouts) == MOST_LOGOUTS
    assert known.has_ended(AT, "s0")
    assert not known.has_ended(AT + 200, "another")


def test_logout_of_an_unknown_user_is_refused_and_a_removed_user_leaves_none(users: Users) -> None:
    with pytest.raises(OperatorError, match="is not a user"):
        users.end_tokens("sip:carol@example.test", "", AT)
    users.end_tokens(ALICE, "", AT)
    users.remove(ALICE)
    users.add(ALICE, "a-secret", pool=POOL)
    assert not verifier(users).logouts


def test_copy_of_the_users_has_the_logouts(users: Users, tmp_path: Path) -> None:
    users.end_tokens(ALICE, "", AT)
    other = Users(tmp_path / "other.db")
    users.copy_to(other)
    assert verifier(other).logouts == {"": AT}
    other.close()
