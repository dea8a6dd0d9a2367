"""The peer of one link: what it has presented, the verdict on it, and until when the verdict holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError
from sipmesh.trust.evidence import HandshakeFailure, LinkKind, PeerEvidence, TlsFacts

if TYPE_CHECKING:
    from sipmesh.trust.verdict import Verdict

A_SECOND: Final = 1.0  # a certificate is valid until the end of the second in its notAfter (RFC 5280 4.1.2.5)


class LinkPeer:
    """What one link knows of its peer.

    *accepted*: the link has held an accepted verdict. *confirmed*: the peer has shown that it accepts us too, by its first
    octet; under TLS 1.3 a refusal arrives after our handshake has ended. *evidence* is kept, except of clients without a
    certificate, so that it can be judged again. *ends* is the wall clock time in seconds at which the first certificate of the
    path expires, 0.0 without one.
    """

    __slots__ = ("accepted", "confirmed", "ends", "evidence", "facts", "verdict")

    def __init__(self, *, confirmed: bool) -> None:
        self.confirmed, self.accepted = confirmed, False
        self.evidence: PeerEvidence | None = None
        self.verdict: Verdict | None = None
        self.facts = TlsFacts()
        self.ends = 0.0

    @property
    def name(self) -> str:
        """The name of the topology entry that the peer proved; empty on client links and before the verdict."""
        return self.verdict.peer.name if self.verdict is not None and self.verdict.peer is not None else ""

    @property
    def has_certificate(self) -> bool:
        """Whether an accepted peer has presented a certificate; a client or trunk without one has to log in."""
        return self.evidence is not None and bool(self.evidence.presented)

    def accept(self, evidence: PeerEvidence, verdict: Verdict) -> None:
        """Record a peer whose handshake is done and that *verdict* accepts; raises LocalError for any other verdict."""
        if not verdict.accepted or evidence.failure is not None:
            raise LocalError(f"a link cannot be accepted with the verdict {verdict!r}")
        self.accepted, self.facts = True, evidence.tls
        self.evidence = evidence if evidence.presented or evidence.kind is LinkKind.PARTNER else None

    def rely_on(self, verdict: Verdict) -> None:
        """Take *verdict*, which accepts the peer, until a certificate of its path expires."""
        self.verdict = verdict
        self.ends = verdict.ends.timestamp() + A_SECOND if verdict.ends is not None else 0.0

    def expired_evidence(self, wall: float) -> PeerEvidence | None:
        """Return what to judge again if a certificate of the path has expired at *wall*, the wall clock time in seconds."""
        return self.evidence if self.ends and self.ends <= wall else None

    def late_refusal(self, why: str) -> PeerEvidence | None:
        """Return the evidence on a peer that has closed, for the reason *why*, before it confirmed; otherwise None.

        Such a peer has refused us: TLS 1.3 reports a refusal late.
        """
        if self.confirmed or self.evidence is None:
            return None
        text = f"the peer closed the link before any SIP byte came back: {why}"
        return replace(self.evidence, failure=HandshakeFailure("refused-by-peer", text))
