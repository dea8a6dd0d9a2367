"""Tokens: each counts once, for its name, until it expires; only the leader writes them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sipmesh.database.connection import Database
from sipmesh.database.lease import Lease
from sipmesh.errors import NotLeadingError, OperatorError
from sipmesh.storage.enrolment import enrolment_tokens
from sipmesh.storage.enrolment.enrolment_tokens import KEPT_S, MOST_OPEN_OF_NAME, EnrolmentTokens, TokenRefusedError
from storage.enrolment.rows import AT, BOT, HOUR_S, OTHER, token


@pytest.fixture(name="database")
def _database(url: str) -> Iterator[Database]:
    database = Database(url, "things")
    yield database
    database.close()


def test_token_counts_once_for_its_name_until_it_expires(database: Database) -> None:
    tokens = EnrolmentTokens(database, Lease(database))
    tokens.add(token(), AT)
    found = tokens.of_secret(BOT, b"t1", AT + HOUR_S - 1)
    assert found == tokens.find("t1") == token()
    for server, secret, at, why in (
        (BOT, b"t2", AT, "do not match"),
        (OTHER, b"t1", AT, "do not match"),
        (BOT, b"t1", AT + HOUR_S, "has expired"),
    ):
        with pytest.raises(TokenRefusedError, match=why):
            tokens.of_secret(server, secret, at)
    tokens.spend(found, AT)
    for use in (lambda: tokens.spend(found, AT), lambda: tokens.of_secret(BOT, b"t1", AT)):
        with pytest.raises(TokenRefusedError, match="used already"):
            use()
    assert tokens.open_tokens(AT) == []


def test_number_of_tokens_is_bounded_and_old_tokens_are_removed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = EnrolmentTokens(database, Lease(database))
    for number in range(MOST_OPEN_OF_NAME):
        tokens.add(token(number), AT)
    with pytest.raises(OperatorError, match=f"{BOT} has 4 tokens already"):
        tokens.add(token(9), AT)
    monkeypatch.setattr(enrolment_tokens, "MOST_OPEN", MOST_OPEN_OF_NAME)
    with pytest.raises(OperatorError, match="there are 4 tokens already"):
        tokens.add(token(9, OTHER), AT)
    later = AT + HOUR_S + KEPT_S + 1
    tokens.add(token(9, expires=later + HOUR_S), later)
    assert tokens.find("t0") is None


def test_only_the_leader_makes_and_spends_tokens(database: Database) -> None:
    leader, follower = Lease(database, "one"), Lease(database, "two")
    assert leader.claim()
    EnrolmentTokens(database, leader).add(token(), AT)
    tokens = EnrolmentTokens(database, follower)
    with pytest.raises(NotLeadingError):
        tokens.add(token(2), AT)
    with pytest.raises(NotLeadingError):
        tokens.spend(token(), AT)
    EnrolmentTokens(database, leader).spend(token(), AT)
