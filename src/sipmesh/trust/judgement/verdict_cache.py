"""A cache of acceptances: checks of the same certificates under the same policy run once.

The cache saves the work that depends on the certificates only, such as the signatures of the path. Checks that depend on the
time, the CRLs or the handshake run again. If one of these fails, or if the evidence is different, the case is judged in full.
So only acceptances are cached.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cryptography import x509

    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.finding import Finding
    from sipmesh.trust.judgement.evaluation import Evaluation
    from sipmesh.trust.verdict import Verdict

KEPT = 1024  # chains: enough for a large network. If there are more, the oldest is judged in full again
LONGEST = 16_384  # octets of one cached chain; real chains have 1,000 to 6,000. A peer chooses what is cached
SECOND = timedelta(seconds=1)
LAST = datetime.max.replace(tzinfo=UTC) - SECOND  # a notAfter without end has no next second (RFC 5280 4.1.2.5)


@dataclass(frozen=True, slots=True)
class CachedVerdict:
    """One acceptance. From *since* until before *until* no certificate of the chain becomes valid or expires.

    *seen* is what the handshake gave: the path check that `Judge` may make of it again has the same result for as long as the
    checks that run again find the path of *evaluation* to be right. *found* has the finding of each check. The key is the check
    itself, because a table of checks may change.
    """

    seen: PeerEvidence
    evaluation: Evaluation
    verdict: Verdict
    found: Mapping[Callable[[Evaluation], Finding | None], Finding | None]
    since: datetime
    until: datetime

    def binds(self, evidence: PeerEvidence, at: datetime) -> bool:
        """Whether the acceptance applies to *evidence*: the same in all that was checked, and within the same time span."""
        then = self.seen
        return (
            self.since <= at < self.until
            and evidence.failure is None
            and evidence.presented == then.presented
            and evidence.stapled == then.stapled
            and evidence.engine_errors == then.engine_errors
            and evidence.direction is then.direction
            and evidence.kind is then.kind
        )


class VerdictCache:
    """The cached acceptances of one policy, and so of one topology version.

    New CRLs do not empty the cache: the status in the CRLs is checked again, with a new look-up if the CRLs are new
    (`Evaluation.again`).
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[tuple[bytes, ...], CachedVerdict] = {}

    def __repr__(self) -> str:
        return f"<VerdictCache {len(self._held)}>"

    def __len__(self) -> int:
        return len(self._held)

    def find(self, evidence: PeerEvidence, at: datetime) -> CachedVerdict | None:
        """Return the acceptance that applies, or None."""
        cached = self._held.get(evidence.presented)
        return cached if cached is not None and cached.binds(evidence, at) else None

    def keep(self, precedent: CachedVerdict) -> None:
        """Store *precedent*. It replaces an acceptance of the same certificates. If the cache is full, the oldest is removed."""
        presented = precedent.seen.presented
        if sum(map(len, presented)) > LONGEST:
            return
        self._held.pop(presented, None)
        if len(self._held) >= KEPT:
            del self._held[next(iter(self._held))]
        self._held[presented] = precedent


def steady(certificates: Iterable[x509.Certificate], at: datetime) -> tuple[datetime, datetime] | None:
    """Return the span around *at* in which none of *certificates* becomes valid or expires; None if it has no bounds.

    A certificate is valid from the start of its notBefore to the end of the second in notAfter.
    """
    turns: list[datetime] = []
    for certificate in certificates:
        turns += certificate.not_valid_before_utc, min(certificate.not_valid_after_utc, LAST) + SECOND
    before, after = [turn for turn in turns if turn <= at], [turn for turn in turns if turn > at]
    return (max(before), min(after)) if before and after else None
