"""A decision about the peer of one link is a value that carries its reasons."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn

from sipmesh.errors import SipmeshError
from sipmesh.trust.evidence import Direction, LinkKind, TlsFacts
from sipmesh.trust.formatting import tell

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.trust.policy import TrustedPeer


Named = tuple[bytes, int]
"""One certificate, as revocation lists name it: its issuer's name in DER, and its serial."""


class Code(StrEnum):
    """The stable, documented word for what came of a link or of a message."""

    ACCEPTED = "accepted"
    NOT_TLS = "not-tls"
    HANDSHAKE_FAILED = "handshake-failed"
    HANDSHAKE_TIMEOUT = "handshake-timeout"
    TOO_MANY_HANDSHAKES = "too-many-handshakes"
    PROTOCOL_TOO_OLD = "protocol-too-old"
    NO_CERTIFICATE = "no-certificate"
    UNTRUSTED_ISSUER = "untrusted-issuer"
    ISSUER_NOT_FOR_THIS_NAME = "issuer-not-for-this-name"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    REVOKED = "revoked"
    REVOCATION_UNKNOWN = "revocation-unknown"
    WRONG_USAGE = "wrong-usage"
    WEAK_KEY = "weak-key"
    NOT_A_LEAF = "not-a-leaf"
    MALFORMED_CERTIFICATE = "malformed-certificate"
    NO_SIP_IDENTITY = "no-sip-identity"
    NAME_MISMATCH = "name-mismatch"
    AMBIGUOUS_IDENTITY = "ambiguous-identity"
    NOT_IN_TOPOLOGY = "not-in-topology"
    ROLE_NOT_ALLOWED = "role-not-allowed"
    PARTNER_UNKNOWN = "partner-unknown"
    PARTNER_BLOCKED = "partner-blocked"
    REFUSED_BY_PEER = "refused-by-peer"

    # Of messages
    FROM_NOT_ALLOWED = "from-not-allowed"
    ASSERTION_NOT_ALLOWED = "assertion-not-allowed"
    NOT_AUTHENTICATED = "not-authenticated"
    NO_ROUTE = "no-route"
    OTHER_HOME = "other-home"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what it wanted, what it saw, and the rule behind it.

    *code* is the reason this finding gives for a refusal. A failed finding without one could not be judged because an
    earlier one failed; it refuses all the same, but never names the reason.
    """

    check: str  # stable name: logs, console and tests rely on it
    passed: bool
    wanted: str
    saw: str
    rule: str
    code: Code | None = None

    @property
    def judged(self) -> bool:
        """Whether the check could run at all."""
        return self.passed or self.code is not None


@dataclass(frozen=True, slots=True)
class Question:
    """What one check asks; it becomes a finding with what was seen, written so that a log can bear it."""

    check: str
    wanted: str
    rule: str

    def passed(self, saw: str) -> Finding:
        """Answer yes."""
        return Finding(check=self.check, passed=True, wanted=self.wanted, saw=tell(saw), rule=self.rule)

    def refused(self, saw: str, code: Code) -> Finding:
        """Answer no, for the reason *code*."""
        return Finding(check=self.check, passed=False, wanted=self.wanted, saw=tell(saw), rule=self.rule, code=code)

    def unjudged(self, why: str) -> Finding:
        """Answer that it cannot be told, which refuses as well."""
        return Finding(check=self.check, passed=False, wanted=self.wanted, saw=f"not judged: {why}", rule=self.rule)


@dataclass(frozen=True, slots=True)
class Seen:
    """The leaf certificate as presented, in words; *names* carry their kind (``DNS:``, ``URI:``, ``CN:``)."""

    names: tuple[str, ...]
    subject: str
    issuer: str
    serial_hex: str
    sha256: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """Our decision about the peer of one link. No findings means refused.

    *subject* is the proved identity, or the remote address of a refused peer. *proved* are the names of the topology
    entry *peer* that the certificate proved. *relied_on* names every certificate of the path as (issuer name in DER,
    serial), so that a revocation finds the links that stand on it; *ends* is the last second in which all of them are valid.
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
    meant: str = ""
    relied_on: frozenset[Named] = frozenset()
    ends: datetime | None = None
    accepted: bool = field(init=False, repr=False)  # something was checked, and everything that was checked passed

    def __post_init__(self) -> None:
        passed = bool(self.findings) and all(finding.passed for finding in self.findings)
        object.__setattr__(self, "accepted", self.code is Code.ACCEPTED and passed)

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that refuse, those that were judged first."""
        wrong = [finding for finding in self.findings if not finding.passed]
        return tuple(sorted(wrong, key=lambda finding: not finding.judged))

    @property
    def reason(self) -> Finding | None:
        """The finding that gave the refusal its code; None for an accepted peer."""
        return next((finding for finding in self.failed if finding.code is self.code), None)

    def __bool__(self) -> NoReturn:
        raise TypeError("ask for .accepted")  # 'decided' is not 'accepted'

    def __repr__(self) -> str:
        passed = sum(finding.passed for finding in self.findings)
        return f"<Verdict {self.code} {self.subject} {self.direction} {self.kind} {passed}/{len(self.findings)} passed>"


class LinkRefused(SipmeshError):  # noqa: N818 - it is an outcome of ours, not an error of ours
    """The peer of a link was refused; *verdict* says why."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"{verdict.code}: {verdict.subject}")
        self.verdict = verdict
