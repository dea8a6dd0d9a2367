"""A disabled user keeps the password, and no response to a challenge fits meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.users.user_database import Users
from storage.databases import shell

ALICE = "sip:alice@example.test"


def test_hashes_are_random_while_a_user_is_disabled(url: str) -> None:
    users = Users(url)
    users.add(ALICE, "alice-secret")

    def hashes() -> tuple[str, ...]:
        with shell(url) as db:
            return tuple(db.exec_driver_sql("SELECT ha1_sha256, ha1_md5 FROM users").one())

    before = hashes()
    users.disable(ALICE, datetime.now(UTC))
    assert not set(before) & set(hashes())
    with pytest.raises(OperatorError, match="disabled already"):
        users.disable(ALICE, datetime.now(UTC))
    users.enable(ALICE)
    assert hashes() == before
    with pytest.raises(OperatorError, match="is not disabled"):
        users.enable(ALICE)
    users.close()
