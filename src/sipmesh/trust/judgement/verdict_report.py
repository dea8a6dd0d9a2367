"""A verdict as plain values, for `--json`, the control socket and its clients: the keys are the names of the fields."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self

from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.formatting import tell_address

if TYPE_CHECKING:
    from sipmesh.trust.evidence import TlsFacts
    from sipmesh.trust.finding import Finding
    from sipmesh.trust.verdict import Seen, Verdict


@dataclass(frozen=True, slots=True)
class TlsReport:
    """What the handshake agreed on, and the server name that the client sent (SNI); empty before the end of the handshake."""

    version: str
    cipher: str
    group: str
    sni: str

    @classmethod
    def of(cls, facts: TlsFacts) -> Self:
        """Report the facts of one handshake."""
        return cls(facts.version, facts.cipher, facts.group, facts.sni)


@dataclass(frozen=True, slots=True)
class CertificateReport:
    """The leaf certificate as presented: *serial* and *sha256* are hexadecimal, the instants are UTC."""

    names: tuple[str, ...]
    subject: str
    issuer: str
    serial: str
    sha256: str
    not_before: datetime
    not_after: datetime

    @classmethod
    def of(cls, seen: Seen) -> Self:
        """Report the certificate that a peer has presented."""
        identity = (seen.names, seen.subject, seen.issuer, seen.serial_hex, seen.sha256)
        return cls(*identity, seen.not_before, seen.not_after)


@dataclass(frozen=True, slots=True)
class FindingReport:
    """One check; *code* is the reason that it gives for a refusal, None if it gives none."""

    check: str
    passed: bool
    judged: bool
    wanted: str
    saw: str
    rule: str
    code: Code | None

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """Report one finding."""
        outcome = (finding.check, finding.passed, finding.judged)
        return cls(*outcome, finding.wanted, finding.saw, finding.rule, finding.code)


@dataclass(frozen=True, slots=True)
class VerdictReport:
    """One verdict: *peer* is the topology entry, None if there is none, and *at* is in UTC."""

    code: Code
    accepted: bool
    subject: str
    kind: LinkKind
    direction: Direction
    remote: str
    meant: str
    at: datetime
    peer: str | None
    proved: tuple[str, ...]
    tls: TlsReport
    certificate: CertificateReport | None
    findings: tuple[FindingReport, ...]
    remedies: tuple[str, ...]

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        """Report one verdict."""
        return cls(
            code=verdict.code,
            accepted=verdict.accepted,
            subject=verdict.subject,
            kind=verdict.kind,
            direction=verdict.direction,
            remote=tell_address(verdict.remote),
            meant=verdict.meant,
            at=verdict.at,
            peer=verdict.peer.name if verdict.peer else None,
            proved=tuple(sorted(verdict.proved)),
            tls=TlsReport.of(verdict.tls),
            certificate=CertificateReport.of(verdict.seen) if verdict.seen else None,
            findings=tuple(map(FindingReport.of, verdict.findings)),
            remedies=verdict.remedies,
        )

    @property
    def reason(self) -> FindingReport | None:
        """The finding that gave the refusal its code; None for an accepted peer."""
        return next((finding for finding in self.findings if finding.code == self.code), None)
