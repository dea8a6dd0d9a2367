"""Which one-time tokens can be used now, and which ACME accounts can order certificates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from sipmesh.strict_json import read_json

if TYPE_CHECKING:
    from sipmesh.storage.enrolment.acme_accounts import AcmeAccount
    from sipmesh.storage.enrolment.enrolment_tokens import EnrolmentToken
    from sipmesh.storage.management_db import ManagementDb


@dataclass(frozen=True, slots=True)
class OpenToken:
    """A token that can be used: *name* is that of a server or of a device, *key_id* its public id."""

    name: str
    key_id: str
    made_by: str
    ends: datetime

    @classmethod
    def of(cls, token: EnrolmentToken) -> Self:
        """Report one token, without its hash."""
        return cls(token.server, token.id, token.made_by, datetime.fromtimestamp(token.expires, UTC))


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """A valid ACME account: *name* is that of its server, *token* the key id of the token that made it."""

    name: str
    id: str
    token: str
    made: datetime
    contact: Sequence[str]

    @classmethod
    def of(cls, account: AcmeAccount) -> Self:
        """Report one account, without its key."""
        made, contact = datetime.fromtimestamp(account.made, UTC), read_json(account.contact)
        return cls(account.server, account.id, account.token, made, [str(one) for one in contact])


@dataclass(frozen=True, slots=True)
class EnrolmentStatus:
    """What ``sipmesh ca enrol --json`` prints without a name: the *tokens* that can be used, and the valid *accounts*."""

    tokens: Sequence[OpenToken]
    accounts: Sequence[OpenAccount]

    @classmethod
    def read(cls, management_db: ManagementDb, at: datetime) -> Self:
        """Read it at the time *at*."""
        tokens = management_db.enrolment_tokens.open_tokens(at.timestamp())
        accounts = management_db.acme_accounts.valid_accounts()
        return cls([OpenToken.of(token) for token in tokens], [OpenAccount.of(account) for account in accounts])
