"""One-time tokens: each lets one server of the topology enrol once, until it expires.

The table has the SHA-256 of a secret only. A token that was used or has expired stays for `KEPT_S`, so that a refusal can say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

import sqlalchemy as sql

from sipmesh.database.schema import ENROLMENT
from sipmesh.errors import OperatorError
from sipmesh.storage.enrolment.enrolment_tables import TOKENS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from sipmesh.database.connection import Database
    from sipmesh.database.lease import Lease

MOST_OPEN_OF_NAME: Final = 4
"""Tokens of one name that can be used: one for each protocol, and one more of each that was lost."""

MOST_OPEN: Final = 10_000
KEPT_S: Final = 30 * 86_400.0
AGAIN: Final = "have a new one made: sipmesh ca enrol {server}"


class TokenRefusedError(OperatorError):
    """The token does not let its holder enrol. The text is for the holder."""


@dataclass(frozen=True, slots=True)
class EnrolmentToken:
    """One token. *id* is public; *expires* and *used* are seconds since 1970, and *used* is None for an unused token."""

    id: str
    server: str
    secret_sha256: str
    made_by: str
    expires: float
    used: float | None = None

    @classmethod
    def of(cls, row: sql.Row[tuple[object, ...]]) -> Self:
        """Return the token of a row."""
        return cls(**row._mapping)  # noqa: SLF001 - the public name of SQLAlchemy for the columns of a row


class EnrolmentTokens:
    """The tokens in the *database* of management. Only the holder of the *lease* writes."""

    __slots__ = ("_database", "_lease")

    def __init__(self, database: Database, lease: Lease) -> None:
        """Migrate the database if needed; raises `OperatorError` if the database cannot be used."""
        self._database, self._lease = database, lease
        database.migrate(ENROLMENT)

    def add(self, token: EnrolmentToken, at: float) -> None:
        """Store a new token, and remove those that were kept long enough; raises `OperatorError` if there are too many."""
        with self._database.border(), self._database.engine.begin() as db:
            self._lease.enter(db)
            db.execute(TOKENS.delete().where(TOKENS.c.expires < at - KEPT_S))
            _must_have_room(db, token.server, at)
            values = {column.name: getattr(token, column.name) for column in TOKENS.columns}
            db.execute(TOKENS.insert().values(values))

    def find(self, token_id: str) -> EnrolmentToken | None:
        """Return the token with a public id; None if there is none."""
        with self._database.border(), self._database.engine.connect() as db:
            row = db.execute(sql.select(TOKENS).where(TOKENS.c.id == token_id)).first()
        return EnrolmentToken.of(row) if row is not None else None

    def open_tokens(self, at: float) -> Sequence[EnrolmentToken]:
        """Return the tokens that can be used at the time *at*, the first to expire first."""
        found = sql.select(TOKENS).where(_is_open(at)).order_by(TOKENS.c.expires, TOKENS.c.id)
        with self._database.border(), self._database.engine.connect() as db:
            return [EnrolmentToken.of(row) for row in db.execute(found)]

    def of_secret(self, server: str, secret: bytes, at: float) -> EnrolmentToken:
        """Return the usable token of *server* with a secret; raises `TokenRefusedError`.

        Only who knows the secret learns that a token was used or has expired.
        """
        digest = sha256(secret).hexdigest()
        with self._database.border(), self._database.engine.connect() as db:
            rows = db.execute(sql.select(TOKENS).where(TOKENS.c.server == server)).all()
        found = [token for token in map(EnrolmentToken.of, rows) if compare_digest(token.secret_sha256, digest)]
        if not found:
            raise TokenRefusedError("the name and the token do not match")
        return must_be_usable(found[0], at)

    def withdraw(self, token: EnrolmentToken, at: float) -> bool:
        """Make *token* unusable; False if it was used, or has expired, meanwhile."""
        try:
            self.spend(token, at)
        except TokenRefusedError:
            return False
        return True

    def spend(self, token: EnrolmentToken, at: float) -> None:
        """Use *token*, in a transaction of its own: of two who try at once, one succeeds. Raises `TokenRefusedError`."""
        with self._database.border(), self._database.engine.begin() as db:
            self._lease.enter(db)
            spend_in(db, token, at)


def spend_in(db: sql.Connection, token: EnrolmentToken, at: float) -> None:
    """Use *token* within the transaction *db*; raises `TokenRefusedError` if it was used meanwhile."""
    must_be_usable(token, at)
    spent = db.execute(TOKENS.update().where(TOKENS.c.id == token.id, TOKENS.c.used.is_(None)).values(used=at))
    if spent.rowcount != 1:
        raise TokenRefusedError(f"this token was used already; {AGAIN.format(server=token.server)}")


def must_be_usable(token: EnrolmentToken, at: float) -> EnrolmentToken:
    """Return *token*; raises `TokenRefusedError` if it was used or has expired at the time *at*."""
    again = AGAIN.format(server=token.server)
    if token.used is not None:
        raise TokenRefusedError(f"this token was used already; {again}")
    if at >= token.expires:
        raise TokenRefusedError(f"this token has expired; {again}")
    return token


def _must_have_room(db: sql.Connection, server: str, at: float) -> None:
    count = sql.select(sql.func.count()).select_from(TOKENS).where(_is_open(at))
    if int(db.execute(count.where(TOKENS.c.server == server)).scalar_one()) >= MOST_OPEN_OF_NAME:
        raise OperatorError(f"{server} has {MOST_OPEN_OF_NAME} tokens already; use one, or wait until one expires")
    if int(db.execute(count).scalar_one()) >= MOST_OPEN:
        raise OperatorError(f"there are {MOST_OPEN} tokens already; wait until one expires")


def _is_open(at: float) -> sql.ColumnElement[bool]:
    return sql.and_(TOKENS.c.used.is_(None), TOKENS.c.expires > at)
