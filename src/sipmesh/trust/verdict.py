"""The verdict on the peer of one link: accepted or refused, with every finding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from sipmesh.errors import SipmeshError
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind, TlsFacts

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.trust.finding import Finding
    from sipmesh.trust.trusted_peer import TrustedPeer
    from sipmesh.trust.x509.certificate import CertificateId
    from sipmesh.trust.x509.device_identity import DeviceIdentity


@dataclass(frozen=True, slots=True)
class Seen:
    """The presented leaf certificate as text. *names* have their kind as prefix (``DNS:``, ``URI:``, ``CN:``)."""

    names: tuple[str, ...]
    subject: str
    issuer: str
    serial_hex: str
    sha256: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision about the peer of one link. A verdict without findings is a refusal.

    *subject* is the proved identity, or the remote address of a refused peer. *proved* are the names of the topology
    entry *peer* that the certificate has proved. *device* is whose device a client is, if a certificate has proved it.

    *relied_on* has every certificate of the path as (issuer name in DER, serial number), so that a revocation finds the links
    that depend on it. *ends* is the last second in which all these certificates are valid. Times are timezone-aware.
    """

    subject: str
    code: Code
    findings: tuple[Finding, ...]
    at: datetime
    kind: LinkKind
    direction: Direction
    remote: tuple[str, int]
    remedies: tuple[str, ...] = ()
    peer: TrustedPeer | None = None
    seen: Seen | None = None
    tls: TlsFacts = field(default_factory=TlsFacts)
    proved: frozenset[str] = frozenset()
    device: DeviceIdentity | None = None
    meant: str = ""
    relied_on: frozenset[CertificateId] = frozenset()
    ends: datetime | None = None
    accepted: bool = field(init=False, repr=False)  # at least one check ran, and all checks passed

    def __post_init__(self) -> None:
        passed = bool(self.findings) and all(finding.passed for finding in self.findings)
        object.__setattr__(self, "accepted", self.code is Code.ACCEPTED and passed)

    @property
    def processes(self) -> int:
        """How many processes the peer has; each may have a link of its own."""
        return self.peer.processes if self.peer is not None else 1

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that refuse; those whose check could run come first."""
        wrong = [finding for finding in self.findings if not finding.passed]
        return tuple(sorted(wrong, key=lambda finding: not finding.judged))

    @property
    def reason(self) -> Finding | None:
        """The finding that gives the verdict its code; None for an accepted peer."""
        return next((finding for finding in self.failed if finding.code is self.code), None)

    def __bool__(self) -> NoReturn:
        raise TypeError("ask for .accepted")  # a verdict is not always an acceptance

    def __repr__(self) -> str:
        passed = sum(finding.passed for finding in self.findings)
        return f"<Verdict {self.code} {self.subject} {self.direction} {self.kind} {passed}/{len(self.findings)} passed>"


class LinkRefused(SipmeshError):  # noqa: N818 - an outcome, not an error of our code
    """The peer of a link was refused. *verdict* says why."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"{verdict.code}: {verdict.subject}")
        self.verdict = verdict
