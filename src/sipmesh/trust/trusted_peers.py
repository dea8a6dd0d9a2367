"""All entries of one topology, with indexes by name, by scope and by the issuer of a certificate."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.trust.authority import Authority
    from sipmesh.trust.trusted_peer import TrustedPeer


class TrustedPeers(Mapping[str, tuple["TrustedPeer", ...]]):
    """Maps each name of an ``identity`` to its entries, servers and partners.

    For an unknown peer, the judge looks up scopes, anchors and similar names. The indexes for that are built once, at the
    first use. Otherwise an unknown peer could make a server walk through the whole network at each handshake.
    """

    def __init__(self, entries: Iterable[TrustedPeer] = ()) -> None:
        self.entries: tuple[TrustedPeer, ...] = tuple(entries)
        self._by_identity: dict[str, tuple[TrustedPeer, ...]] = {}
        for peer in self.entries:
            for name in peer.identity:
                self._by_identity[name] = (*self._by_identity.get(name, ()), peer)

    def __getitem__(self, name: str) -> tuple[TrustedPeer, ...]:
        return self._by_identity[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_identity)

    def __len__(self) -> int:
        return len(self._by_identity)

    @cached_property
    def authorities(self) -> tuple[Authority, ...]:
        """Every authority once, in the order of the entries."""
        return tuple({id(peer.authority): peer.authority for peer in self.entries}.values())

    def in_scope(self, name: str) -> Sequence[TrustedPeer]:
        """Return all entries whose scope contains *name*."""
        return self._by_scope.get(name, ())

    def anchored_at(self, issuers: Iterable[x509.Name]) -> Sequence[Authority]:
        """Return all authorities with an anchor of one of these names. Only these can end a path below *issuers*."""
        found = {id(authority): authority for name in issuers for authority in self._by_anchor.get(name, ())}
        return tuple(found.values())

    def alike(self, name: str, reach: int) -> Sequence[str]:
        """Return names similar to *name*: all names of a small network, or *reach* alphabetical neighbours on each side."""
        names = self._sorted_names
        place = bisect(names, name)
        return names if len(names) <= 2 * reach else names[max(0, place - reach) : place + reach]

    @cached_property
    def _sorted_names(self) -> list[str]:
        return sorted(self._by_identity)

    @cached_property
    def _by_scope(self) -> Mapping[str, list[TrustedPeer]]:
        found: dict[str, list[TrustedPeer]] = {}
        for peer in self.entries:
            for name in peer.scope:
                found.setdefault(name, []).append(peer)
        return found

    @cached_property
    def _by_anchor(self) -> Mapping[x509.Name, list[Authority]]:
        found: dict[x509.Name, list[Authority]] = {}
        for authority in self.authorities:
            for subject in {anchor.subject for anchor in authority.anchors}:
                found.setdefault(subject, []).append(authority)
        return found

    def __repr__(self) -> str:
        return f"<TrustedPeers {len(self.entries)} entries under {len(self)} names>"
