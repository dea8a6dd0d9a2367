"""Which identities the sender of a message may speak for, given the verdict on its link (rule R10; RFC 3325).

Domains are compared whole: a right over ``example.test`` is none over ``sales.example.test``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.verdict import Code, Finding, Question, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sipmesh.trust.policy import TrustedPeer

RULE_ASSERTED = "rule R10; RFC 3325 section 5"
RULE_FROM = "rule R8, R10"


def may_assert(peer: TrustedPeer | None, domain: str) -> bool:
    """Whether *peer* may assert users of *domain*; nobody may who is no entry of the topology."""
    return peer is not None and domain.lower() in peer.asserts


def assertion_allowed(verdict: Verdict, kind: LinkKind, identity_domain: str, our_domains: Collection[str]) -> Finding:
    """Judge one P-Asserted-Identity that came over a link of *kind* under *verdict*.

    A client asserts nothing: it authenticates, and then we assert it. A partner never asserts an identity of ours,
    whatever the topology says of it. *our_domains* are lower case.
    """
    domain = identity_domain.lower()
    asked = Question("assertion", _wanted(verdict.peer), RULE_ASSERTED)
    if not verdict.accepted:
        return asked.refused("the peer of the link is not accepted", Code.ASSERTION_NOT_ALLOWED)
    if kind is LinkKind.CLIENT:
        return asked.refused(f"a client asserts {domain or 'nobody'}", Code.ASSERTION_NOT_ALLOWED)
    if kind is LinkKind.PARTNER and domain in our_domains:
        return asked.refused(f"{verdict.subject} asserts {domain}, which is ours", Code.ASSERTION_NOT_ALLOWED)
    if not may_assert(verdict.peer, domain):
        return asked.refused(f"{verdict.subject} asserts {domain or 'nobody'}", Code.ASSERTION_NOT_ALLOWED)
    return asked.passed(f"{verdict.subject} asserts {domain}")


def from_allowed(verdict: Verdict, from_domain: str, our_domains: Collection[str]) -> Finding:
    """Judge the From domain of a request from a partner, outside dialogs: it must be one of the partner's own.

    A server of ours carries what its users and our partners say; there the assertion decides, not the From.
    """
    domain = from_domain.lower()
    asked = Question("from", _wanted(verdict.peer), RULE_FROM)
    if not verdict.accepted or verdict.peer is None:
        return asked.refused("the peer of the link is not accepted", Code.FROM_NOT_ALLOWED)
    if not verdict.peer.is_partner:
        return asked.passed(f"{verdict.subject} is a server of ours")
    if domain in our_domains or not may_assert(verdict.peer, domain):
        ours = ", which is ours" if domain in our_domains else ""
        return asked.refused(f"{verdict.subject} sends From {domain or 'nobody'}{ours}", Code.FROM_NOT_ALLOWED)
    return asked.passed(f"{verdict.subject} sends From {domain}")


def judge_sender(
    verdict: Verdict, *, from_domain: str, asserted: Iterable[str], our_domains: Collection[str]
) -> tuple[Finding, ...]:
    """Judge all that a request outside a dialog says of its sender: its From and each asserted domain."""
    claims = tuple(assertion_allowed(verdict, verdict.kind, domain, our_domains) for domain in asserted)
    return (from_allowed(verdict, from_domain, our_domains), *claims)


def _wanted(peer: TrustedPeer | None) -> str:
    allowed = ", ".join(sorted(peer.asserts)) if peer else ""
    return f"an identity in {allowed}" if allowed else "no identity of its own"
