"""The status of a CA as values. The command that shows it chooses the format."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sipmesh.pki.issuance.profiles import CertificateKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta
    from pathlib import Path

    from sipmesh.errors import Problem
    from sipmesh.pki.ledger.records import ListRecord, Record


class CertificateState(StrEnum):
    """The state of a certificate."""

    VALID = "valid"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    ABANDONED = "abandoned"  # in the journal, but the CA stopped before it was handed out


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """One certificate at one instant. *left* is the time until it expires; negative after that."""

    record: Record
    state: CertificateState
    left: timedelta

    @classmethod
    def of(cls, record: Record, at: datetime) -> CertificateStatus:
        """Give the status of *record* at the instant *at*."""
        return cls(record, _state(record, at), record.not_after - at)


def _state(record: Record, at: datetime) -> CertificateState:
    if record.revoked_at:
        return CertificateState.REVOKED
    if record.der is None:
        return CertificateState.ABANDONED
    if at > record.not_after:
        return CertificateState.EXPIRED
    return CertificateState.VALID if at >= record.not_before else CertificateState.NOT_YET_VALID


def newest_devices(records: Iterable[Record], at: datetime) -> list[Record]:
    """Return the newest valid certificate of each device in *records*, which are ordered by their issue."""
    valid = (one for one in records if _state(one, at) is CertificateState.VALID)
    return list({record.names: record for record in valid if record.kind == CertificateKind.DEVICE}.values())


@dataclass(frozen=True, slots=True)
class ListStatus:
    """The CRL of one CA at one instant. *revoked* is the number of certificates that a new CRL would list."""

    kind: CertificateKind
    file: Path
    made: ListRecord | None
    at: datetime
    revoked: int
    due: bool

    @property
    def left(self) -> timedelta | None:
        """The time until the CRL expires, negative after that; None if there is no CRL."""
        return self.made.next_update - self.at if self.made else None


@dataclass(frozen=True, slots=True)
class CaStatus:
    """The status of the whole CA at one instant. *changed* are the rows of its ledger that were changed outside the CA."""

    organisation: str
    folder: Path
    at: datetime
    authorities: tuple[CertificateStatus, ...]
    servers: tuple[CertificateStatus, ...]
    signers: tuple[CertificateStatus, ...]
    operators: tuple[CertificateStatus, ...]
    devices: tuple[CertificateStatus, ...]
    lists: tuple[ListStatus, ...]
    changed: tuple[Problem, ...] = ()

    @property
    def certificates(self) -> tuple[CertificateStatus, ...]:
        """All certificates: the CAs first, then those that they issued."""
        return (*self.authorities, *self.servers, *self.signers, *self.operators, *self.devices)
