"""One verdict as text. Log, console and command line use the same text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.formatting import tell_address, tell_list, tell_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.trust.finding import Finding
    from sipmesh.trust.verdict import Seen, Verdict

PASSED, FAILED, UNJUDGED = "✓", "✗", "·"


def headline(verdict: Verdict) -> str:
    """Write a verdict as one line: code, link and reason."""
    link = f"{verdict.direction} {verdict.kind} link {_towards(verdict)} {tell_address(verdict.remote)}"
    if verdict.accepted:
        return f"{verdict.code}: {verdict.subject} on the {link}"
    reason = verdict.reason
    why = f": {reason.check} wanted {reason.wanted}; saw {reason.saw}" if reason else ""
    return f"{verdict.code}: {link}{why}"


def explain(verdict: Verdict) -> list[str]:
    """Write a verdict in several lines: failed check and remedies first, then link, certificate and all checks."""
    reason = verdict.reason if not verdict.accepted else None
    return [
        f"{verdict.code}: {verdict.subject}",
        *([f"  {FAILED} {reason.check:<14}{reason.saw}"] if reason else []),
        *(f"  → {remedy}" for remedy in verdict.remedies),
        f"  link        {verdict.direction} {verdict.kind}, {_towards(verdict)} {tell_address(verdict.remote)}",
        *([f"  meant       {verdict.meant}"] if verdict.meant else []),
        *([f"  TLS         {tls}"] if (tls := _tls(verdict)) else []),
        f"  our clock   {tell_time(verdict.at)}",
        *(_presented(verdict.seen) if verdict.seen else ["  presented   no certificate"]),
        *(line for finding in verdict.findings for line in _finding(finding)),
    ]


def mark(finding: Finding) -> str:
    """Return the mark of one finding: passed, failed or not judged."""
    if finding.passed:
        return PASSED
    return FAILED if finding.judged else UNJUDGED


def _towards(verdict: Verdict) -> str:
    return "to" if verdict.direction == "opened" else "from"


def _tls(verdict: Verdict) -> str:
    return ", ".join(filter(None, (verdict.tls.version, verdict.tls.cipher, verdict.tls.group)))


def _presented(seen: Seen) -> Iterator[str]:
    yield f"  presented   {tell_list(seen.names) or 'no names'}"
    yield f"  subject     {seen.subject or '(empty)'}"
    yield f"  issuer      {seen.issuer or '(empty)'}"
    yield f"  serial      {seen.serial_hex}"
    yield f"  SHA-256     {seen.sha256}"
    yield f"  valid       {tell_time(seen.not_before)} to {tell_time(seen.not_after)}"


def _finding(finding: Finding) -> Iterator[str]:
    yield f"  {mark(finding)} {finding.check:<14}{finding.saw}"
    yield f"      {'wanted':<12}{finding.wanted} ({finding.rule})"
