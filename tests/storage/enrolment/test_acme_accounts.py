"""Accounts: made with a token, which is used in the same transaction; each key has one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sipmesh.database.connection import Database
from sipmesh.database.lease import Lease
from sipmesh.storage.enrolment.acme_accounts import (
    MOST_OF_NAME,
    AccountStatus,
    AcmeAccounts,
    KeyInUseError,
    TooManyAccountsError,
)
from sipmesh.storage.enrolment.enrolment_tokens import EnrolmentTokens, TokenRefusedError
from storage.enrolment.rows import AT, OTHER, account, token


@pytest.fixture(name="database")
def _database(url: str) -> Iterator[Database]:
    database = Database(url, "things")
    yield database
    database.close()


def test_account_uses_its_token_and_is_found_by_its_key(database: Database) -> None:
    lease = Lease(database)
    accounts, tokens = AcmeAccounts(database, lease), EnrolmentTokens(database, lease)
    tokens.add(token(), AT)
    accounts.add(account(), token())
    assert accounts.find("a1") == accounts.of_key("key 1") == account()
    with pytest.raises(TokenRefusedError, match="used already"):
        accounts.add(account(2), token())
    assert accounts.find("a2") is None


def test_number_of_valid_accounts_of_a_name_is_bounded(database: Database) -> None:
    lease = Lease(database)
    accounts, tokens = AcmeAccounts(database, lease), EnrolmentTokens(database, lease)
    for number in range(MOST_OF_NAME):
        tokens.add(token(number), AT)
        accounts.add(account(number), token(number))
    tokens.add(token(8), AT)
    with pytest.raises(TooManyAccountsError):
        accounts.add(account(8), token(8))
    tokens.add(token(9, OTHER), AT)
    accounts.add(account(9, OTHER), token(9, OTHER))
    accounts.change("a0", status=str(AccountStatus.DEACTIVATED))
    accounts.add(account(8), token(8))
    assert [one.id for one in accounts.valid_accounts()] == [*(f"a{number}" for number in (1, 2, 3, 8)), "a9"]
    assert [accounts.revoke(account(8)), accounts.revoke(account(8)), accounts.revoke(account(0))] == [
        True,
        False,
        False,
    ]
    assert len(accounts.valid_accounts()) == MOST_OF_NAME


def test_key_of_another_account_is_refused(database: Database) -> None:
    lease = Lease(database)
    accounts, tokens = AcmeAccounts(database, lease), EnrolmentTokens(database, lease)
    for number in (1, 2):
        tokens.add(token(number), AT)
        accounts.add(account(number), token(number))
    with pytest.raises(KeyInUseError):
        accounts.change("a1", thumbprint="key 2")
    accounts.change("a1", thumbprint="key 3", contact='["mailto:a@b.test"]')
    found = accounts.of_key("key 3")
    assert found is not None
    assert (found.id, found.contact) == ("a1", '["mailto:a@b.test"]')
