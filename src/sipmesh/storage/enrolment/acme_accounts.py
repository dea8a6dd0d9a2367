"""The accounts of ACME clients (RFC 8555 7.1.2): each has one key, and is bound to one name of the topology."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import sqlalchemy as sql

from sipmesh.database.schema import ENROLMENT
from sipmesh.errors import OperatorError
from sipmesh.storage.enrolment.enrolment_tables import ACCOUNTS
from sipmesh.storage.enrolment.enrolment_tokens import spend_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from sipmesh.database.connection import Database
    from sipmesh.database.lease import Lease
    from sipmesh.storage.enrolment.enrolment_tokens import EnrolmentToken

MOST_OF_NAME: Final = 4
"""Valid accounts of one name; a server has one, and another while it moves."""


class AccountStatus(StrEnum):
    """The states of an account (RFC 8555 7.1.6): its client deactivates it, and an operator revokes it."""

    VALID = "valid"
    DEACTIVATED = "deactivated"
    REVOKED = "revoked"


class TooManyAccountsError(OperatorError):
    """The name has the accounts that it may have."""


class KeyInUseError(OperatorError):
    """Another account has this key."""


@dataclass(frozen=True, slots=True)
class AcmeAccount:
    """One account. *token* is the public id of the token that made it; *jwk* and *contact* are JSON; *made* is in seconds."""

    id: str
    server: str
    token: str
    jwk: str
    thumbprint: str
    status: str
    contact: str
    made: float

    @classmethod
    def of(cls, row: sql.Row[tuple[object, ...]]) -> Self:
        """Return the account of a row."""
        return cls(**row._mapping)  # noqa: SLF001 - the public name of SQLAlchemy for the columns of a row


class AcmeAccounts:
    """The accounts in the *database* of management. Only the holder of the *lease* writes."""

    __slots__ = ("_database", "_lease")

    def __init__(self, database: Database, lease: Lease) -> None:
        """Migrate the database if needed; raises `OperatorError` if the database cannot be used."""
        self._database, self._lease = database, lease
        database.migrate(ENROLMENT)

    def add(self, account: AcmeAccount, token: EnrolmentToken) -> None:
        """Store a new account and use its *token*: both or none. Raises `TokenRefusedError` or `TooManyAccountsError`."""
        is_valid = sql.and_(ACCOUNTS.c.server == account.server, ACCOUNTS.c.status == AccountStatus.VALID)
        count = sql.select(sql.func.count()).select_from(ACCOUNTS).where(is_valid)
        with self._database.border(), self._database.engine.begin() as db:
            self._lease.enter(db)
            if int(db.execute(count).scalar_one()) >= MOST_OF_NAME:
                remedy = "deactivate one (certbot unregister)"
                raise TooManyAccountsError(
                    f"{account.server} has {MOST_OF_NAME} accounts, which is the limit; {remedy}"
                )
            spend_in(db, token, account.made)
            db.execute(
                ACCOUNTS.insert().values({column.name: getattr(account, column.name) for column in ACCOUNTS.columns})
            )

    def find(self, account_id: str) -> AcmeAccount | None:
        """Return the account with an id, None if there is none."""
        return self._one(ACCOUNTS.c.id == account_id)

    def of_key(self, thumbprint: str) -> AcmeAccount | None:
        """Return the account with the key of a thumbprint (RFC 7638), None if there is none."""
        return self._one(ACCOUNTS.c.thumbprint == thumbprint)

    def change(self, account_id: str, **values: str) -> None:
        """Change columns of an account; raises `KeyInUseError` if another account has the new key."""
        with self._database.border(), self._database.engine.begin() as db:
            self._lease.enter(db)
            key = values.get("thumbprint", "")
            others = sql.select(ACCOUNTS.c.id).where(ACCOUNTS.c.thumbprint == key, ACCOUNTS.c.id != account_id)
            if key and db.execute(others).first() is not None:
                raise KeyInUseError("another account has this key")
            db.execute(ACCOUNTS.update().where(ACCOUNTS.c.id == account_id).values(values))

    def valid_accounts(self) -> Sequence[AcmeAccount]:
        """Return the accounts that can order certificates, by name, the oldest first."""
        found = sql.select(ACCOUNTS).where(ACCOUNTS.c.status == AccountStatus.VALID)
        with self._database.border(), self._database.engine.connect() as db:
            return [AcmeAccount.of(row) for row in db.execute(found.order_by(ACCOUNTS.c.server, ACCOUNTS.c.made))]

    def revoke(self, account: AcmeAccount) -> bool:
        """Revoke a valid account; False if it is not valid any more."""
        is_it = sql.and_(ACCOUNTS.c.id == account.id, ACCOUNTS.c.status == AccountStatus.VALID)
        with self._database.border(), self._database.engine.begin() as db:
            self._lease.enter(db)
            return db.execute(ACCOUNTS.update().where(is_it).values(status=AccountStatus.REVOKED)).rowcount == 1

    def _one(self, where: sql.ColumnElement[bool]) -> AcmeAccount | None:
        with self._database.border(), self._database.engine.connect() as db:
            row = db.execute(sql.select(ACCOUNTS).where(where)).first()
        return AcmeAccount.of(row) if row is not None else None
