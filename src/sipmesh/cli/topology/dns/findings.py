"""What a check of DNS has found, as commands print it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.cli.output import BAD, GOOD, WARN, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.topology.builder.dns_findings import DnsFinding


def say_findings(findings: Sequence[DnsFinding]) -> None:
    """Print each finding, with its remedy."""
    for finding in findings:
        is_good = finding.state == "good"
        seen = ", ".join(finding.seen) or "nothing"
        text = f"  {'✓' if is_good else '✗'} {finding.name}. {finding.type}: {finding.state} (DNSSEC: {finding.dnssec}): {seen}"
        say(text, style=GOOD if is_good else WARN if finding.state == "unanswered" else BAD)
        say(*(f"      → {line}" for line in finding.mend), style="cyan")
