"""Which one-time tokens can be used now, and how many ACME accounts there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from sipmesh.errors import OperatorError
from sipmesh.storage.audit_act import AuditAct

if TYPE_CHECKING:
    from sipmesh.storage.audit_act import Note
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
class EnrolmentStatus:
    """What ``sipmesh ca enrol --json`` prints without a name: the *tokens*, and the number of valid *accounts* of ACME."""

    tokens: Sequence[OpenToken]
    accounts: int

    @classmethod
    def read(cls, management_db: ManagementDb, at: datetime) -> Self:
        """Read it at the time *at*."""
        tokens = management_db.enrolment_tokens.open_tokens(at.timestamp())
        return cls([OpenToken.of(token) for token in tokens], management_db.acme_accounts.count())


def withdraw(management_db: ManagementDb, key_id: str, at: datetime, note: Note) -> OpenToken:
    """Make a token unusable, and note it; raises `OperatorError` if there is none with this id that can be used."""
    tokens = management_db.enrolment_tokens
    found = [token for token in tokens.open_tokens(at.timestamp()) if token.id == key_id]
    if not found:
        raise OperatorError(f"no token with the key id {key_id!a} can be used; to list them: sipmesh ca enrol")
    tokens.spend(found[0], at.timestamp())
    note(AuditAct.ENROL, server=found[0].server, token=key_id, withdrawn="by an operator")
    return OpenToken.of(found[0])
