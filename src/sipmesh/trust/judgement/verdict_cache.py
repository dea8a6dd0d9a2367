"""Earlier acceptances: what was found of the same certificates under the same policy need not be found again.

A precedent spares the work on what cannot have changed, above all the signatures of the path. It decides nothing: what
depends on the time, on the lists or on this very handshake is asked anew, and where that does not end in another
acceptance, or anything at all differs, the case is judged as if there had been no precedent. So only acceptances are
kept, and a refusal is always the word of a full judgement.
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

KEPT = 1024  # chains: a large network's servers and partners; who has more than these comes back to a full judgement
LONGEST = 16_384  # octets of one chain; real ones have 1,000 to 6,000, and what is kept is the peer's to fill
SECOND = timedelta(seconds=1)
LAST = datetime.max.replace(tzinfo=UTC) - SECOND  # "no end" is a second that has none after it (RFC 5280 4.1.2.5)


@dataclass(frozen=True, slots=True)
class CachedVerdict:
    """One acceptance, good from *since* until just before *until*: in between no certificate in play begins or ends.

    *found* holds what each check found, by the check itself, since a table of checks may change.
    """

    evaluation: Evaluation
    verdict: Verdict
    found: Mapping[Callable[[Evaluation], Finding | None], Finding | None]
    since: datetime
    until: datetime

    def binds(self, evidence: PeerEvidence, at: datetime) -> bool:
        """Whether *evidence*, of the same certificates, is the same in all that was looked at, and the time no other."""
        then = self.evaluation.evidence
        return (
            self.since <= at < self.until
            and evidence.failure is None
            and evidence.presented == then.presented
            and evidence.engine_errors == then.engine_errors
            and evidence.direction is then.direction
            and evidence.kind is then.kind
        )


class VerdictCache:
    """The precedents of one policy; they end with it, and so with the topology that it was made of.

    New revocation lists they outlive: what the lists say is asked anew, and looked up anew where the lists are others
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
        """Return the precedent that binds, if there is one."""
        held = self._held.get(evidence.presented)
        return held if held is not None and held.binds(evidence, at) else None

    def keep(self, precedent: CachedVerdict) -> None:
        """Keep *precedent* in the place of an older one of the same certificates; the oldest gives way."""
        presented = precedent.evaluation.evidence.presented
        if sum(map(len, presented)) > LONGEST:
            return
        self._held.pop(presented, None)
        if len(self._held) >= KEPT:
            del self._held[next(iter(self._held))]
        self._held[presented] = precedent


def steady(certificates: Iterable[x509.Certificate], at: datetime) -> tuple[datetime, datetime] | None:
    """Return between which instants around *at* none of *certificates* begins or ends; None if that has no bound.

    A certificate is good from the first moment of its notBefore to the last of the second that notAfter names.
    """
    turns: list[datetime] = []
    for held in certificates:
        turns += held.not_valid_before_utc, min(held.not_valid_after_utc, LAST) + SECOND
    before, after = [turn for turn in turns if turn <= at], [turn for turn in turns if turn > at]
    return (max(before), min(after)) if before and after else None
