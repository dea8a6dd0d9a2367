"""One case before the judge: the evidence, the policy, and what follows from both; each fact is worked out once."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING

from sipmesh.trust.certificate import MalformedCertificateError, read_certificate
from sipmesh.trust.chain import PRESENTED, Path, Trail, find_path, walk
from sipmesh.trust.evidence import Direction
from sipmesh.trust.identity import Identities, identities

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.policy import Authority, LinkPolicy, TrustedPeer

GUESSES = 3  # unknown names that we look for in the topology: each costs a comparison with every name in it
LIKENESS = 0.7  # of the letters, at least


class Case:
    """What the checks look at. *fault* says why there is no readable certificate."""

    def __init__(self, evidence: PeerEvidence, policy: LinkPolicy, at: datetime) -> None:
        self.evidence, self.policy, self.at = evidence, policy, at
        self.leaf: x509.Certificate | None = None
        self.pool: list[x509.Certificate] = []
        self.fault = ""
        self._read(evidence.presented[: PRESENTED + 1])

    def _read(self, presented: tuple[bytes, ...]) -> None:
        for depth, der in enumerate(presented):
            try:
                certificate = read_certificate(der)
            except MalformedCertificateError as wrong:
                self.fault = self.fault or f"certificate {depth} of the chain: {wrong}"
                continue
            if depth == 0:
                self.leaf = certificate
            else:
                self.pool.append(certificate)

    @property
    def opened(self) -> bool:
        """Whether we opened the link, and so meant somebody."""
        return self.evidence.direction is Direction.OPENED

    @cached_property
    def names(self) -> Identities:
        """The SIP identities of the leaf."""
        return identities(self.leaf) if self.leaf else Identities()

    @cached_property
    def named(self) -> tuple[TrustedPeer, ...]:
        """The entries of the topology that the identities name, each once."""
        found = [peer for name in self.names.usable for peer in self.policy.peers.get(name, ())]
        return tuple(dict.fromkeys(found))

    @cached_property
    def peer(self) -> TrustedPeer | None:
        """The one entry that this certificate is judged as: the one we meant, or the only one that is named."""
        if self.opened:
            return self.policy.meant
        return self.named[0] if len(self.named) == 1 else None

    @cached_property
    def proved(self) -> frozenset[str]:
        """The names of the entry by which the certificate is known."""
        return self.peer.identity.intersection(self.names.usable) if self.peer else frozenset()

    @cached_property
    def foreign(self) -> dict[str, tuple[TrustedPeer, ...]]:
        """Identities outside the entry's scope, each with the other entries in whose scope it lies."""
        if self.peer is None:
            return {}
        outside = dict.fromkeys(name for name in self.names.usable if name not in self.peer.scope)
        held = [(peer, peer.scope.intersection(outside)) for peer in self.policy.entries() if peer != self.peer]
        return {name: tuple(peer for peer, names in held if name in names) for name in outside}

    @cached_property
    def shared(self) -> dict[str, str]:
        """Identities that are in a topology entry's scope but identify nobody, such as a pool's name."""
        unknown = frozenset(self.unknown)
        return {name: peer.name for peer in self.policy.entries() for name in peer.scope & unknown}

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """Identities that name no entry."""
        return tuple(name for name in self.names.usable if name not in self.policy.peers)

    @cached_property
    def counted(self) -> tuple[Authority, ...]:
        """Whose anchors count: those of the one entry; where no one entry is named, any that could have been meant."""
        if self.peer:
            return (self.peer.authority,)
        candidates = self.named or tuple(p for p in self.policy.entries() if p.scope.intersection(self.names.usable))
        authorities = {id(peer.authority): peer.authority for peer in candidates}
        return tuple(authorities.values()) or tuple(self.policy.authorities())

    @cached_property
    def trail(self) -> Trail:
        """The path under the first counted authority that has one."""
        best = Trail(refusal="nobody's anchors count for these names")
        if self.leaf is None:
            return best
        for authority in self.counted:
            found = find_path(self.leaf, self.pool, authority, self.at)
            if found.verified:
                return found
            best = found if found.path or not best.authority else best
        return best

    @cached_property
    def elsewhere(self) -> Trail:
        """Where the certificate leads when it leads to no anchor that counts: another authority that we know."""
        if self.leaf and not self.trail.path:
            for authority in self.policy.authorities():
                path = next(walk(self.leaf, self.pool, authority.anchors), None)
                if path and authority not in self.counted:
                    return Trail(path, authority)
        return Trail()

    @cached_property
    def line(self) -> Path:
        """The certificates to look at one by one: a path if there is any, otherwise the leaf alone."""
        return self.trail.path or self.elsewhere.path or ((self.leaf,) if self.leaf else ())

    @cached_property
    def nearest(self) -> dict[str, str]:
        """Names of the topology that the first unknown identities may be misspellings of."""
        known = list(self.policy.peers)
        near = {name: get_close_matches(name, known, n=1, cutoff=LIKENESS) for name in self.unknown[:GUESSES]}
        return {name: found[0] for name, found in near.items() if found}
