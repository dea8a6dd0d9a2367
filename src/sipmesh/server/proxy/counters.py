"""What a server has counted since its start: verdicts, refused messages, and the messages of closed links."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.verdict import Verdict


@dataclass(slots=True)
class FileFigures:
    """The files of users at management: how many with how many octets, when they were counted last; refused uploads by status."""

    kept: int = 0
    octets: int = 0
    refused: Counter[int] = field(default_factory=Counter)


class Counters:
    """Counters that only grow. An open link counts its own messages, so this class costs nothing per message."""

    def __init__(self) -> None:
        self.verdicts: Counter[tuple[str, str, str]] = Counter()  # kind, direction, code
        self.messages: Counter[tuple[str, str]] = Counter()  # kind, "in" or "out"; closed links only
        self.upgrades: Counter[int] = Counter()  # WebSockets that were refused, by HTTP status
        self.refused_messages: Counter[str] = Counter()  # by code
        self.enrolments: Counter[tuple[str, str]] = Counter()  # protocol, and "issued" or the reason of a refusal
        self.files = FileFigures()

    def judged(self, verdict: Verdict) -> None:
        """A link came up, or was refused."""
        self.verdicts[str(verdict.kind), str(verdict.direction), str(verdict.code)] += 1

    def refused(self, code: str) -> None:
        """A message was refused."""
        self.refused_messages[code] += 1

    def enrolled(self, protocol: str, outcome: str) -> None:
        """A certificate was issued by EST or ACME (the *outcome* "issued"), or a request was refused for this reason."""
        self.enrolments[protocol, outcome] += 1

    def upgrade_refused(self, status: int) -> None:
        """A WebSocket was refused with this HTTP status."""
        self.upgrades[status] += 1

    def gone(self, link: Link) -> None:
        """A link has closed: add its counts."""
        self.messages[str(link.kind), "in"] += link.messages_in
        self.messages[str(link.kind), "out"] += link.messages_out
