"""What the commands of `sipmesh ca` print with --json: the names of the fields are the keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from sipmesh.pki.issuance.profiles import CertificateKind
    from sipmesh.pki.status import CaStatus, CertificateStatus, ListStatus
    from sipmesh.topology.expiry.inventory import Countdown, Inventory, InventoryEntry
    from sipmesh.topology.expiry.validity import DatedItem


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
    """What ``sipmesh ca status --json`` prints: every certificate and CRL at the instant *at*."""

    organisation: str
    folder: Path
    at: datetime
    certificates: tuple[IssuedReport, ...]
    lists: tuple[CrlReport, ...]

    @classmethod
    def of(cls, status: CaStatus) -> Self:
        """Report the status of the CA."""
        certificates = tuple(map(IssuedReport.of, status.certificates))
        crls = tuple(map(CrlReport.reported, status.lists))
        return cls(status.organisation, status.folder, status.at, certificates, crls)


@dataclass(frozen=True, slots=True)
class CountdownReport:
    """The first server that stops working and when: *because* names the item that expires, *left_s* is in seconds."""

    server: str
    ends: datetime
    left_s: int
    because: str
    others: tuple[str, ...]

    @classmethod
    def of(cls, countdown: Countdown, at: datetime) -> Self:
        """Report a countdown at the instant *at*."""
        left_s = int((countdown.ends - at).total_seconds())
        return cls(countdown.server, countdown.ends, left_s, countdown.because, tuple(countdown.others))


@dataclass(frozen=True, slots=True)
class EntryReport:
    """One item that expires: *in_use* is what a running server uses, *on_disk* what its file contains, None if unknown.

    *left_s* is in seconds, negative after the end. *stops* says what stops working then, and *command* is the remedy.
    """

    what: str
    name: str
    owner: str
    for_partners: bool
    in_use: DatedItem | None
    on_disk: DatedItem | None
    ends: datetime | None
    left_s: int | None
    level: str
    broken: bool
    old: bool
    stops: str
    command: str
    note: str

    @classmethod
    def of(cls, entry: InventoryEntry, at: datetime) -> Self:
        """Report an entry of the inventory at the instant *at*."""
        item = entry.item
        return cls(
            what=str(entry.what),
            name=entry.name,
            owner=entry.owner,
            for_partners=entry.outside,
            in_use=entry.in_use,
            on_disk=entry.on_disk,
            ends=item.ends if item else None,
            left_s=int((item.ends - at).total_seconds()) if item else None,
            level=entry.level.word,
            broken=entry.broken,
            old=entry.old,
            stops=entry.stops,
            command=entry.command,
            note=entry.note,
        )


@dataclass(frozen=True, slots=True)
class InventoryReport:
    """What ``sipmesh ca inventory --json`` prints, at the instant *at*; *worst* is the most urgent level of all entries."""

    at: datetime
    worst: str
    urgent: bool
    countdown: CountdownReport | None
    entries: tuple[EntryReport, ...]

    @classmethod
    def of(cls, stock: Inventory) -> Self:
        """Report the whole inventory."""
        countdown = CountdownReport.of(stock.countdown, stock.at) if stock.countdown else None
        entries = tuple(EntryReport.of(entry, stock.at) for entry in stock.entries)
        return cls(stock.at, stock.worst.word, stock.urgent, countdown, entries)


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
