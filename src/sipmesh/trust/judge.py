"""Evidence and policy in, a verdict out: every check runs, and only then one reason is chosen.

Nothing here reads a clock; what depends on the time is worked out anew for each verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes

from sipmesh.trust.case import Case
from sipmesh.trust.certificate import UNREADABLE
from sipmesh.trust.checks import CHECKS, CLIENT_CHECKS, WITHOUT_CERTIFICATE, Check
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.identity import alternative_names, common_names, spell
from sipmesh.trust.priority import choose
from sipmesh.trust.remedy import remedies
from sipmesh.trust.verdict import Code, Finding, Question, Seen, Verdict
from sipmesh.trust.words import tell, tell_address

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.policy import LinkPolicy

__all__ = ["CHECKS", "judge"]


def judge(evidence: PeerEvidence, policy: LinkPolicy, *, at: datetime) -> Verdict:
    """Decide about the peer of one link at the instant *at*.

    Never raises over what the peer sent. A failed handshake refuses whatever else is found; the same checks run on the
    certificates that were seen, so that the verdict tells all that is wrong.

    Raises:
        ValueError: *at* has no timezone.
    """
    if at.tzinfo is None:
        raise ValueError("the instant of a decision needs a timezone")
    case = Case(evidence, policy, at)
    findings = tuple(finding for check in _table(case) if (finding := _ask(check, case)) is not None)
    code = choose(findings)
    accepted = code is Code.ACCEPTED
    return Verdict(
        subject=_subject(case) if accepted else tell_address(evidence.remote),
        code=code,
        findings=findings,
        at=at,
        kind=evidence.kind,
        direction=evidence.direction,
        remote=evidence.remote,
        remedies=() if accepted else remedies(code, case),
        peer=case.peer if accepted else None,
        seen=_seen(case.leaf) if case.leaf else None,
        tls=evidence.tls,
        proved=case.proved if accepted else frozenset(),
        meant=policy.meant_name if case.opened else "",
        relied_on=_relied_on(case) if accepted else frozenset(),
    )


def _table(case: Case) -> list[Check]:
    if case.evidence.kind is LinkKind.CLIENT and not case.opened:
        return list(CLIENT_CHECKS.values())
    return [check for name, check in CHECKS.items() if case.leaf is not None or name in WITHOUT_CERTIFICATE]


def _ask(check: Check, case: Case) -> Finding | None:
    """Run one check. One that stumbles over the certificate refuses it: what cannot be checked is not accepted."""
    try:
        return check(case)
    except UNREADABLE as wrong:
        asked = Question(check.__name__, "a certificate that can be judged", "rule R12")
        return asked.refused(f"{type(wrong).__name__}: {wrong}", Code.MALFORMED_CERTIFICATE)


def _subject(case: Case) -> str:
    """Return the proved identity: whom we meant, or the entry's own name, or the first of its names that was proved."""
    if case.opened:
        return case.policy.meant_name
    if case.peer is None:
        return tell_address(case.evidence.remote)
    return case.peer.name if case.peer.name in case.proved else min(case.proved)


def _relied_on(case: Case) -> frozenset[tuple[bytes, int]]:
    return frozenset((held.issuer.public_bytes(), held.serial_number) for held in case.trail.path)


def _seen(held: x509.Certificate) -> Seen:
    try:
        names = tuple(map(spell, alternative_names(held)))
    except ValueError:
        names = ()
    return Seen(
        names=tuple(map(tell, (*names, *(f"CN:{cn}" for cn in common_names(held))))),
        subject=tell(held.subject.rfc4514_string()),
        issuer=tell(held.issuer.rfc4514_string()),
        serial_hex=f"{held.serial_number:x}",
        sha256=held.fingerprint(hashes.SHA256()).hex(":").upper(),
        not_before=held.not_valid_before_utc,
        not_after=held.not_valid_after_utc,
    )
