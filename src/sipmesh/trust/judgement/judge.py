"""Make a verdict from evidence and policy. All checks run before one reason is chosen.

This module has no clock: the time is an argument. What depends on the time is computed for each verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes

from sipmesh.foreign_errors import reason_of
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.finding import CheckQuestion, Finding
from sipmesh.trust.formatting import tell, tell_address
from sipmesh.trust.judgement.challenged import CHALLENGED_CHECKS
from sipmesh.trust.judgement.checks import (
    CHECKS,
    CLIENT_CHECKS,
    DEVICE_CHECKS,
    REPEATED,
    WITHOUT_CERTIFICATE,
    Check,
)
from sipmesh.trust.judgement.evaluation import Evaluation
from sipmesh.trust.judgement.priority import choose
from sipmesh.trust.judgement.remedy import remedies
from sipmesh.trust.judgement.verdict_cache import CachedVerdict, VerdictCache, steady
from sipmesh.trust.role import ClientAuth
from sipmesh.trust.verdict import Seen, Verdict
from sipmesh.trust.x509.certificate import UNREADABLE, CertificateId
from sipmesh.trust.x509.sip_identity import alternative_names, common_names, spell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from cryptography import x509

    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.path.chain import Path
    from sipmesh.trust.policy import LinkPolicy

    Recheck = Callable[[PeerEvidence, LinkPolicy, datetime], PeerEvidence]

__all__ = ["CHECKS", "Judge", "judge"]

NOTHING: frozenset[CertificateId] = frozenset()


class Judge:
    """Judges links under one policy. Acceptances are cached, which saves the path check of the next link.

    The cache belongs to this judge. A new policy (a new topology version) needs a new judge. *recheck* looks again at evidence
    that is judged in full (`sipmesh.transport.tls.path_check.recheck_path`).
    """

    def __init__(self, policy: LinkPolicy, recheck: Recheck | None = None) -> None:
        self.policy, self.cache, self._recheck = policy, VerdictCache(), recheck

    def __repr__(self) -> str:
        return f"<Judge under {self.policy!r}, {self.cache!r}>"

    def judge(self, evidence: PeerEvidence, *, at: datetime, live: bool = False) -> Verdict:
        """Decide as :func:`judge` does, with the cache of this judge."""
        return judge(evidence, self.policy, at=at, live=live, cache=self.cache, recheck=self._recheck)


def judge(
    evidence: PeerEvidence,
    policy: LinkPolicy,
    *,
    at: datetime,
    live: bool = False,
    cache: VerdictCache | None = None,
    recheck: Recheck | None = None,
) -> Verdict:
    """Decide about the peer of one link at the instant *at*.

    A peer is refused for bad evidence, and no error is raised. After a failed handshake the checks still run on the
    certificates that were seen, so that the verdict lists all faults.

    *live* says that the link is up, and so was accepted before: an expired CRL does not end it. *cache* has earlier
    acceptances under the same *policy*, and stores this one. *recheck* is as in `Judge`.

    Raises:
        ValueError: *at* has no timezone.
    """
    if at.tzinfo is None:
        raise ValueError("the instant of a decision needs a timezone")
    precedent = cache.find(evidence, at) if cache is not None else None
    verdict = _follow(precedent, evidence, at, live=live) if precedent is not None else None
    if verdict is not None:
        return verdict
    again = recheck(evidence, policy, at) if recheck is not None else evidence
    return _judge_in_full(Evaluation(again, policy, at, live=live), evidence, cache)


def _judge_in_full(evaluation: Evaluation, seen: PeerEvidence, cache: VerdictCache | None) -> Verdict:
    found = {check: ask(check, evaluation) for check in _table(evaluation).values()}
    findings = tuple(finding for finding in found.values() if finding is not None)
    code = choose(findings)
    if code is not Code.ACCEPTED:
        return _refused(evaluation, code, findings)
    verdict = _accepted(evaluation, findings)
    if cache is not None:
        _remember(cache, seen, evaluation, verdict, found)
    return verdict


def _follow(precedent: CachedVerdict, evidence: PeerEvidence, at: datetime, *, live: bool) -> Verdict | None:
    """Accept again if the checks in REPEATED pass too. None if the case must be judged in full."""
    evaluation = precedent.evaluation.again(evidence, at, live=live)
    found = precedent.found
    findings: list[Finding] = []
    for name, check in _table(evaluation).items():
        finding = ask(check, evaluation) if name in REPEATED or check not in found else found[check]
        if finding is not None:
            findings.append(finding)
            if not finding.passed:
                return None
    return _accepted(evaluation, tuple(findings), precedent.verdict) if findings else None


def _remember(
    cache: VerdictCache,
    seen: PeerEvidence,
    evaluation: Evaluation,
    verdict: Verdict,
    found: Mapping[Check, Finding | None],
) -> None:
    """Cache an acceptance until a certificate that could be in the path becomes valid or expires."""
    if (
        evaluation.leaf is None
        or not evaluation.trail.path
        or evaluation.evidence.failure is not None
        or evaluation.live
    ):
        return
    anchors = [anchor for authority in evaluation.counted for anchor in authority.anchors]
    span = steady((evaluation.leaf, *evaluation.pool, *anchors), evaluation.at)
    if span is not None:
        cache.keep(CachedVerdict(seen, evaluation, verdict, found, *span))


def _accepted(evaluation: Evaluation, findings: tuple[Finding, ...], known: Verdict | None = None) -> Verdict:
    """Build the verdict. *known* is an earlier verdict on the same certificates, whose text about them is reused."""
    evidence = evaluation.evidence
    return Verdict(
        subject=_subject(evaluation) if known is None else known.subject,
        code=Code.ACCEPTED,
        findings=findings,
        at=evaluation.at,
        kind=evidence.kind,
        direction=evidence.direction,
        remote=evidence.remote,
        peer=evaluation.peer,
        seen=_seen(evaluation.leaf) if known is None else known.seen,
        tls=evidence.tls,
        proved=evaluation.proved,
        device=evaluation.device,
        meant=evaluation.policy.meant_name if evaluation.opened else "",
        relied_on=_relied_on(evaluation.trail.path) if known is None else known.relied_on,
        ends=evaluation.span[1] if evaluation.trail.path else None,
    )


def _refused(evaluation: Evaluation, code: Code, findings: tuple[Finding, ...]) -> Verdict:
    evidence = evaluation.evidence
    return Verdict(
        subject=tell_address(evidence.remote),
        code=code,
        findings=findings,
        at=evaluation.at,
        kind=evidence.kind,
        direction=evidence.direction,
        remote=evidence.remote,
        remedies=remedies(code, evaluation),
        seen=_seen(evaluation.leaf),
        tls=evidence.tls,
        meant=evaluation.policy.meant_name if evaluation.opened else "",
    )


def _table(evaluation: Evaluation) -> Mapping[str, Check]:
    checks = CHECKS
    if evaluation.policy.challenged is not None and not evaluation.opened:
        return CHALLENGED_CHECKS
    if evaluation.evidence.kind is LinkKind.CLIENT and not evaluation.opened:
        if not _is_asked(evaluation):
            return CLIENT_CHECKS
        checks = DEVICE_CHECKS
    if evaluation.leaf is not None:
        return checks
    return {name: check for name, check in checks.items() if name in WITHOUT_CERTIFICATE}


def _is_asked(evaluation: Evaluation) -> bool:
    """Tell whether the certificate of a client is judged: it may be missing where a password will do."""
    asks = evaluation.policy.client_auth
    return asks is ClientAuth.CERTIFICATE or (asks is ClientAuth.EITHER and bool(evaluation.evidence.presented))


def ask(check: Check, evaluation: Evaluation) -> Finding | None:
    """Run one check. If the certificate makes it fail with an error, the peer is refused (rule R12)."""
    try:
        return check(evaluation)
    except UNREADABLE as wrong:
        asked = CheckQuestion(check.__name__, "a certificate that sipmesh can check", "rule R12")
        return asked.refused(reason_of(wrong), Code.MALFORMED_CERTIFICATE)


def _subject(evaluation: Evaluation) -> str:
    """Return the proved identity: the expected name, the entry's name, or the first of its names that was proved."""
    if evaluation.opened:
        return evaluation.policy.meant_name
    if evaluation.device is not None:
        return f"{evaluation.device.device} of {evaluation.device.user}"
    if evaluation.peer is None:
        return tell_address(evaluation.evidence.remote)
    return evaluation.peer.name if evaluation.peer.name in evaluation.proved else min(evaluation.proved)


def _relied_on(path: Path) -> frozenset[CertificateId]:
    """Give each certificate with the subject name of its issuer's certificate: CRLs are looked up by that name.

    The issuer field of a certificate may be the same name in another string type, with other octets.
    """
    if not path:
        return NOTHING
    issuers = (*path[1:], path[-1])
    return frozenset(
        (issuer.subject.public_bytes(), certificate.serial_number)
        for certificate, issuer in zip(path, issuers, strict=True)
    )


def _seen(certificate: x509.Certificate | None) -> Seen | None:
    if certificate is None:
        return None
    try:
        names = tuple(map(spell, alternative_names(certificate)))
    except ValueError:
        names = ()
    return Seen(
        names=tuple(map(tell, (*names, *(f"CN:{cn}" for cn in common_names(certificate))))),
        subject=tell(certificate.subject.rfc4514_string()),
        issuer=tell(certificate.issuer.rfc4514_string()),
        serial_hex=f"{certificate.serial_number:x}",
        sha256=certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )
