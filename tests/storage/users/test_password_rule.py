"""What a password has to be."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.users.password_rule import must_be_a_password

ALICE = "sip:alexander@example.test"


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "has 0 characters; at least 8"),
        ("1234567", "has 7 characters; at least 8"),
        ("Alexander", "is the name of the user"),
        ("alexander@example.test", "is the name of the user"),
    ],
)
def test_short_password_and_name_of_the_user_are_refused(password: str, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        must_be_a_password(password, ALICE)


@pytest.mark.parametrize("password", ["12345678", "alexander1", "zwölf ßß"])
def test_other_passwords_are_accepted(password: str) -> None:
    must_be_a_password(password, ALICE)
