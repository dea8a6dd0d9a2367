"""What the commands of `sipmesh ca` print with --json: the names of the fields are the keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from sipmesh.pki.issuance.profiles import CertificateKind
    from sipmesh.pki.status import CaStatus, CertificateStatus, ListStatus


@dataclass(frozen=True, slots=True)
class IssuedReport:
    """One issued certificate: *serial* is hexadecimal, *reason* is that of a revocation, *left_s* is in seconds."""

    kind: str
    names: tuple[str, ...]
    serial: str
    state: str
    reason: str | None
    not_before: datetime
    not_after: datetime
    left_s: int

    @classmethod
    def of(cls, status: CertificateStatus) -> Self:
        """Report the status of one certificate."""
        record = status.record
        return cls(
            kind=record.kind,
            names=tuple(record.names),
            serial=record.serial_hex,
            state=str(status.state),
            reason=record.reason,
            not_before=record.not_before,
            not_after=record.not_after,
            left_s=int(status.left.total_seconds()),
        )


@dataclass(frozen=True, slots=True)
class CrlReport:
    """The CRL of one CA: *revoked* is how many certificates a CRL that is signed now has, and *due* says to sign it.

    *number*, *next_update* and *left_s* (in seconds) are None if no CRL is signed yet.
    """

    of: CertificateKind
    file: Path
    number: int | None
    revoked: int
    next_update: datetime | None
    left_s: int | None
    due: bool

    @classmethod
    def reported(cls, status: ListStatus) -> Self:
        """Report the status of one CRL."""
        return cls(
            of=status.kind,
            file=status.file,
            number=status.made.number if status.made else None,
            revoked=status.revoked,
            next_update=status.made.next_update if status.made else None,
            left_s=int(status.left.total_seconds()) if status.left is not None else None,
            due=status.due,
        )


@dataclass(frozen=True, slots=True)
class CaReport:
    """What ``sipmesh ca status --json`` prints: every certificate and CRL at the instant *at*.

    *changed* has a sentence for each row of the ledger that was changed outside the CA.
    """

    organisation: str
    folder: Path
    at: datetime
    certificates: tuple[IssuedReport, ...]
    lists: tuple[CrlReport, ...]
    changed: tuple[str, ...]

    @classmethod
    def of(cls, status: CaStatus) -> Self:
        """Report the status of the CA."""
        certificates = tuple(map(IssuedReport.of, status.certificates))
        crls = tuple(map(CrlReport.reported, status.lists))
        return cls(status.organisation, status.folder, status.at, certificates, crls, tuple(map(str, status.changed)))


@dataclass(frozen=True, slots=True)
class GenerationReport:
    """One generation of the CA: the subject of its *root*, the end of its validity, and its *state* in words."""

    generation: int
    root: str
    ends: datetime
    state: str


@dataclass(frozen=True, slots=True)
class RotationReport:
    """What ``sipmesh ca root status --json`` prints: *next* is the next step.

    *crossed* says whether the present chains lead to both roots.
    """

    generations: list[GenerationReport]
    next: str
    crossed: bool
