"""The certificates that one server presents: a new one replaces the old one only if our own judge accepts it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError
from sipmesh.pki.key_pair import finish_pair
from sipmesh.topology.expiry.validity import Chain, DatedItem
from sipmesh.transport.tls.contexts import Identity
from sipmesh.transport.tls.self_handshake import NOWHERE, SelfHandshakeError, check_handshake
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.judgement.judge import judge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from sipmesh.topology.view import ServerView
    from sipmesh.trust.finding import Finding
    from sipmesh.trust.verdict import Verdict

ABROAD = frozenset(
    {Code.UNTRUSTED_ISSUER, Code.ISSUER_NOT_FOR_THIS_NAME, Code.REVOCATION_UNKNOWN, Code.HANDSHAKE_FAILED}
)
"""Faults that do not count in a partner-side certificate from another CA: partners have its anchor, we do not."""


@dataclass(frozen=True, slots=True)
class PresentedCertificate:
    """One certificate with its key that is in use; *fault* says why the present content of its file is not used."""

    identity: Identity
    fault: str = ""

    @property
    def chain(self) -> Chain:
        """The chain with its expiry dates, for the inventory."""
        items = tuple(map(DatedItem.of_certificate, self.identity.chain))
        return Chain(str(self.identity.chain_path), items, self.fault)


@dataclass(frozen=True, slots=True)
class PresentedCertificates:
    """All certificates of one server; the key True stands for partners only. Immutable: a change makes a new object."""

    certificates: Mapping[bool, PresentedCertificate]

    @classmethod
    def first(cls, view: ServerView) -> PresentedCertificates:
        """Return the certificates at the start; raises `OperatorError` if a file cannot be used.

        A crash between a new certificate and its key is repaired before.
        """
        for _outside, files in _files(view):
            finish_pair(*files)
        return cls({outside: PresentedCertificate(Identity.load(*files)) for outside, files in _files(view)})

    def of(self, kind: LinkKind) -> Identity:
        """Return the identity that is presented on links of *kind*."""
        outside = kind is LinkKind.PARTNER and True in self.certificates
        return self.certificates[outside].identity

    @property
    def faults(self) -> Iterator[str]:
        """The reason for each certificate on disk that is not in use."""
        return (certificate.fault for certificate in self.certificates.values() if certificate.fault)

    def after(self, view: ServerView, at: datetime) -> PresentedCertificates:
        """Return what to present under *view*: the files if they are good, otherwise the previous certificates with a fault."""
        return PresentedCertificates({outside: self._next(outside, files, view, at) for outside, files in _files(view)})

    def _next(self, outside: bool, files: tuple[Path, Path], view: ServerView, at: datetime) -> PresentedCertificate:  # noqa: FBT001
        before = self.certificates.get(outside, self.certificates[False])
        try:
            found = Identity.load(*files)
        except OperatorError as wrong:
            return replace(before, fault="; ".join(f"{problem.file}: {problem.reason}" for problem in wrong.problems))
        if same(found, before.identity):
            return PresentedCertificate(found)
        fault = why_not(found, view, at, outside=outside)
        return replace(before, fault=fault) if fault else PresentedCertificate(found)


def _files(view: ServerView) -> Iterator[tuple[bool, tuple[Path, Path]]]:
    inside, outside = view.identity(LinkKind.SERVER), view.identity(LinkKind.PARTNER)
    yield False, inside
    if outside != inside:
        yield True, outside


def same(found: Identity, other: Identity) -> bool:
    """Return whether both chains are equal; each key fits its certificate, so the keys are equal too."""
    return [certificate.public_bytes(Encoding.DER) for certificate in found.chain] == [
        certificate.public_bytes(Encoding.DER) for certificate in other.chain
    ]


def why_not(identity: Identity, view: ServerView, at: datetime, *, outside: bool = False, host: str = "") -> str:
    """Return why our peers would refuse *identity*, according to our own judge; empty if they would accept it.

    The judge sees both ends of a handshake of the certificate with itself. The certificate that an edge presents to
    partners may come from a CA that only they know. Then only its names, its validity and its form are judged. *host* is our name
    at one trunk.
    """
    if outside and not _under_ours(identity, view):
        return next((_tell(finding) for finding in _judged_abroad(identity, view, at, host)), "")
    kind = LinkKind.PARTNER if outside else LinkKind.SERVER
    policy = view.policy_on_us(kind, host)
    try:
        seen = check_handshake(identity, view.loaded.authority.anchors, policy.meant_name)
    except SelfHandshakeError as wrong:
        return str(wrong)
    verdicts = (judge(replace(evidence, kind=kind), policy, at=at) for evidence in seen)
    return next((_reason(verdict) for verdict in verdicts if not verdict.accepted), "")


def _under_ours(identity: Identity, view: ServerView) -> bool:
    return any(identity.chain[-1].issuer == anchor.subject for anchor in view.loaded.authority.anchors)


def _judged_abroad(identity: Identity, view: ServerView, at: datetime, host: str) -> list[Finding]:
    """Return what is wrong with a certificate whose CA we do not know."""
    evidence = PeerEvidence(
        direction=Direction.OPENED,
        kind=LinkKind.PARTNER,
        remote=NOWHERE,
        local=NOWHERE,
        presented=tuple(certificate.public_bytes(Encoding.DER) for certificate in identity.chain),
    )
    verdict = judge(evidence, view.policy_on_us(LinkKind.PARTNER, host), at=at)
    return [finding for finding in verdict.failed if finding.judged and finding.code not in ABROAD]


def _reason(verdict: Verdict) -> str:
    return _tell(verdict.reason) if verdict.reason else str(verdict.code)


def _tell(finding: Finding) -> str:
    return f"{finding.code}: {finding.check} wanted {finding.wanted}; saw {finding.saw}"
