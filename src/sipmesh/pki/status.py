"""What an operator wants to see of a CA, as values; who prints them decides how."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path

    from sipmesh.pki.issuance.profiles import CertificateKind
    from sipmesh.pki.ledger import ListRecord, Record


class CertificateState(StrEnum):
    """What became of a certificate."""

    VALID = "valid"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    ABANDONED = "abandoned"  # journalled, but the CA stopped before it was handed out


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """One certificate at one instant; *left* is negative once it has expired."""

    record: Record
    state: CertificateState
    left: timedelta

    @classmethod
    def of(cls, record: Record, at: datetime) -> CertificateStatus:
        """Look at *record* at the instant *at*."""
        return cls(record, _state(record, at), record.not_after - at)


def _state(record: Record, at: datetime) -> CertificateState:
    if record.revoked_at:
        return CertificateState.REVOKED
    if record.der is None:
        return CertificateState.ABANDONED
    if at > record.not_after:
        return CertificateState.EXPIRED
    return CertificateState.VALID if at >= record.not_before else CertificateState.NOT_YET_VALID


@dataclass(frozen=True, slots=True)
class ListStatus:
    """The list of one CA at one instant; *revoked* is how many certificates a list made now would name."""

    kind: CertificateKind
    file: Path
    made: ListRecord | None
    at: datetime
    revoked: int
    due: bool

    @property
    def left(self) -> timedelta | None:
        """How long the list still counts, negative once it does not; None if there is none."""
        return self.made.next_update - self.at if self.made else None


@dataclass(frozen=True, slots=True)
class CaStatus:
    """The whole CA at one instant."""

    organisation: str
    folder: Path
    at: datetime
    authorities: tuple[CertificateStatus, ...]
    servers: tuple[CertificateStatus, ...]
    signers: tuple[CertificateStatus, ...]
    lists: tuple[ListStatus, ...]

    @property
    def certificates(self) -> tuple[CertificateStatus, ...]:
        """All of them: the CAs first, then what they issued."""
        return (*self.authorities, *self.servers, *self.signers)
