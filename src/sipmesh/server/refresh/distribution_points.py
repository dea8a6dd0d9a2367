"""Which CRLs that certificates name are fetched: those of the peers that were judged last, within limits.

A peer chooses only a URL that its CA has signed, at a host that the topology names. Still a CA could name any number of URLs, so
their number is bounded, and how fast it grows.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sipmesh.pki import files
from sipmesh.pki.file_error import FileError
from sipmesh.topology.document.named_files.crl_points import MOST_POINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from sipmesh.server.log import Log
    from sipmesh.server.refresh.authorities import NamedAuthority
    from sipmesh.topology.document.named_files.crl_points import CrlPoints
    from sipmesh.trust.revocation.crl_point import CrlPoint

MOST_NEW: Final = 12
"""New URLs of one authority within a minute: each is fetched at once."""

_MINUTE_S: Final = 60.0
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class DistributionPoints:
    """The distribution points of every authority of one server. *look* reads files that were written; *now* is the loop time."""

    def __init__(self, look: Callable[[Collection[Path]], object], now: Callable[[], float], log: Log) -> None:
        self._look, self._now, self._log = look, now, log
        self._used: dict[
            str, tuple[bool, datetime]
        ] = {}  # by mark: whether a peer was accepted with it, and when it was used
        self._added: dict[str, deque[float]] = {}

    def need(self, named: NamedAuthority, points: Iterable[CrlPoint], at: datetime, *, accepted: bool) -> bool:
        """Have the CRLs at *points* fetched, which certificates of a peer name; returns whether the URLs have changed.

        A URL is forgotten when every certificate that is known to name it has expired.
        """
        index = named.files.points
        if index is None:
            return False
        before = {entry.point.mark: entry.point for entry in named.files.files if entry.point is not None}
        kept = {mark: point for mark, point in before.items() if point.until > at}
        for point in points:
            self._add(kept, point, named.owner)
            was_accepted = self._used.get(point.mark, (False, at))[0]
            self._used[point.mark] = (accepted or was_accepted, at)
        if kept == before:
            return False
        return self._store(index, before, kept)

    def _add(self, kept: dict[str, CrlPoint], point: CrlPoint, owner: str) -> None:
        """Add *point* to those that are *kept*; the least needed of too many leaves."""
        if (known := kept.get(point.mark)) is not None:
            kept[point.mark] = replace(known, until=max(known.until, point.until))
            return
        if not self._may_add(owner):
            self._log.warning("too many CRLs in certificates: one is not fetched yet", owner=owner, source=point.url)
            return
        while len(kept) >= MOST_POINTS:
            del kept[min(kept, key=self._need_of)]
        kept[point.mark] = point

    def _need_of(self, mark: str) -> tuple[bool, datetime]:
        """Return how needed a CRL is. A CRL with which a peer was accepted is needed more than any other."""
        return self._used.get(mark, (True, _LONG_AGO))

    def _may_add(self, owner: str) -> bool:
        """Count a new URL; False if there were `MOST_NEW` within a minute."""
        added, now = self._added.setdefault(owner, deque(maxlen=MOST_NEW)), self._now()
        if len(added) == MOST_NEW and now - added[0] < _MINUTE_S:
            return False
        added.append(now)
        return True

    def _store(self, index: CrlPoints, before: dict[str, CrlPoint], kept: dict[str, CrlPoint]) -> bool:
        """Store the URLs and have them read; the CRLs of those that are forgotten are removed."""
        try:
            files.write(index.index, index.encode(kept.values()))
        except FileError as wrong:
            self._log.warning("the CRLs that certificates name cannot be stored", why=str(wrong))
            return False
        self._look([index.index])
        for mark in before.keys() - kept.keys():
            self._used.pop(mark, None)
            with suppress(OSError):
                index.file_of(before[mark]).unlink(missing_ok=True)
        return before.keys() != kept.keys()
