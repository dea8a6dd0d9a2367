"""The CRLs of those who sign calls of trunks: held in memory, and read elsewhere, never within a decision."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from sipmesh.errors import RemoteError
from sipmesh.sip.status import Status
from sipmesh.topology.document.names import is_url
from sipmesh.trust.path.chain import walk
from sipmesh.trust.revocation.crl_point import CrlPoint, is_allowed, point_of
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.revocation.freshness import SKEW, look_at_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from cryptography import x509

    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.in_force.stir_rules import StirRule
    from sipmesh.trust.revocation.crl import RevocationList

MOST_POINTS: Final = 32
"""Distribution points of one trunk's signers that are remembered. A CA that the topology trusts has issued each certificate."""
MOST_ISSUERS: Final = 32
"""CAs below the anchors of one trunk that are remembered. They confirm CRLs when these are read."""
FRESH_S: Final = 600.0
AGAIN_S: Final = 30.0
"""How long a CRL from a URL is not fetched again, and how long a missing CRL, or that of a file."""
RULE: Final = "RFC 8226 section 10"


class ListSource(NamedTuple):
    """Where a CRL is: a file, or a URL. *point* is the distribution point that names it, if the topology does not."""

    place: str
    point: CrlPoint | None = None


class SignerLists:
    """The CRLs for the signers of each trunk in force. *clock* is in seconds. *is_wanted* is set when one is to be read."""

    def __init__(self, current: Current, clock: Callable[[], float]) -> None:
        self._current, self._clock = current, clock
        self._of_trunks: dict[str, TrunkLists] = {}
        self.is_wanted = asyncio.Event()

    def check(self, trunk: str, rule: StirRule, chain: Sequence[x509.Certificate], at: datetime) -> None:
        """Check the path of *chain*; RemoteError 437 if a certificate is revoked, and 436 if its CRL is missing or has expired.

        Nothing is checked for a trunk without `crls` and `crl_hosts`.
        """
        if not rule.checks_revocation:
            return
        path = self.expects(trunk, chain)
        lists, is_known = self._of(trunk).lists(rule), bool(path)
        for certificate, issuer in pairwise(path):
            found = lists.find(certificate, issuer)
            if found is not None and certificate.serial_number in found.serials:
                raise RemoteError("its certificate is revoked", rule=RULE, status=Status.UNSUPPORTED_CREDENTIAL)
            is_known = is_known and found is not None and found.this_update - SKEW <= at <= found.next_update
        if not is_known:
            raise RemoteError("no CRL in force covers its certificate", rule=RULE, status=Status.BAD_IDENTITY_INFO)

    def expects(self, trunk: str, chain: Sequence[x509.Certificate]) -> Sequence[x509.Certificate]:
        """Give the path of *chain* to an anchor, none if there is none, and have the CRLs read that it names."""
        rule = self._current.value.stir.get(trunk)
        if rule is None or not rule.checks_revocation or not chain:
            return ()
        path = next(walk(chain[0], chain[1:], rule.anchors), ())
        points = (point_of(certificate, issuer, rule.crl_hosts) for certificate, issuer in pairwise(path))
        if self._of(trunk).remember(path[1:-1], [point for point in points if point is not None]):
            self.is_wanted.set()
        return path

    def due(self) -> Iterator[tuple[str, ListSource]]:
        """Give each CRL that is to be read now, with its trunk; it is not given again until it `arrived` or was `missed`."""
        rules = self._current.value.stir
        for trunk in self._of_trunks.keys() - rules.keys():
            del self._of_trunks[trunk]
        for trunk, rule in rules.items():
            yield from ((trunk, source) for source in self._of(trunk).due(rule, self._clock()))

    def arrived(self, trunk: str, source: ListSource, new: RevocationList, at: datetime) -> None:
        """Keep a CRL that was read; raises `UnusableListError` if it must not replace the earlier CRL."""
        rule = self._current.value.stir.get(trunk)
        if rule is not None:
            self._of(trunk).arrived(source, new, rule, at)
            self.missed(trunk, source, AGAIN_S if not is_url(source.place) else FRESH_S)

    def missed(self, trunk: str, source: ListSource, again_s: float = AGAIN_S, fault: str = "") -> bool:
        """Have a CRL read again in so many seconds; tell whether *fault* is a new one."""
        lists = self._of(trunk)
        lists.due_at[source] = self._clock() + again_s
        before, lists.faults[source] = lists.faults.get(source, ""), fault
        return fault not in {"", before}

    def _of(self, trunk: str) -> TrunkLists:
        return self._of_trunks.setdefault(trunk, TrunkLists())


class TrunkLists:
    """The CRLs for the signers of one trunk, and when each of them is read again."""

    __slots__ = ("_held", "_issuers", "_points", "due_at", "faults")

    def __init__(self) -> None:
        self._held: dict[ListSource, RevocationList] = {}
        self._issuers: dict[x509.Certificate, None] = {}
        self._points: dict[str, CrlPoint] = {}
        self.due_at: dict[ListSource, float] = {}
        self.faults: dict[ListSource, str] = {}

    def lists(self, rule: StirRule) -> RevocationLists:
        """Give the CRLs that were read from where the topology in force allows."""
        return RevocationLists(self._held[source] for source in self._sources(rule) if source in self._held)

    def remember(self, issuers: Sequence[x509.Certificate], points: Sequence[CrlPoint]) -> bool:
        """Remember the CAs of a path and its distribution points, within bounds; tell whether a point is new."""
        is_new = any(point.mark not in self._points for point in points)
        self._issuers.update(dict.fromkeys(issuers))
        self._points.update({point.mark: point for point in points})
        while len(self._issuers) > MOST_ISSUERS:
            del self._issuers[next(iter(self._issuers))]
        while len(self._points) > MOST_POINTS:
            del self._points[next(iter(self._points))]
        return is_new

    def due(self, rule: StirRule, now: float) -> Iterator[ListSource]:
        """Give the CRLs that are to be read, and forget those that the topology does not allow any more."""
        sources = self._sources(rule)
        for source in self.due_at.keys() - set(sources):
            self._held.pop(source, None)
            self.faults.pop(source, None)
            del self.due_at[source]
        for source in sources:
            if self.due_at.get(source, now) <= now:
                self.due_at[source] = float("inf")
                yield source

    def arrived(self, source: ListSource, new: RevocationList, rule: StirRule, at: datetime) -> None:
        """Keep *new*; raises `UnusableListError` if it is of another point, forged, expired, or older than the earlier CRL."""
        if source.point is not None:
            source.point.must_be_of(new)
        self._held[source] = look_at_list(new, self._held.get(source), (*rule.anchors, *self._issuers), at=at)

    def _sources(self, rule: StirRule) -> list[ListSource]:
        points = (point for point in self._points.values() if is_allowed(point.url, rule.crl_hosts))
        return [*map(ListSource, rule.crls), *(ListSource(point.url, point) for point in points)]
