"""One case of the judge: evidence, policy, and the facts that follow from them. Each fact is computed once."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING

from sipmesh.trust.evidence import Direction
from sipmesh.trust.formatting import tell_time
from sipmesh.trust.path.chain import PRESENTED, Path, Trail, find_path, walk
from sipmesh.trust.path.dane_path import asserted_path
from sipmesh.trust.revocation.path_status import Listed, look_up
from sipmesh.trust.revocation.revocation_source import RevocationSource
from sipmesh.trust.revocation.staple import beside_staple
from sipmesh.trust.x509.certificate import MalformedCertificateError, read_certificate
from sipmesh.trust.x509.chain_bounds import costly_keys, excess, too_long, too_many_names
from sipmesh.trust.x509.device_identity import DeviceIdentity, device_identity
from sipmesh.trust.x509.sip_identity import Identities, identities

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from sipmesh.trust.authority import Authority
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.policy import LinkPolicy
    from sipmesh.trust.revocation.crl_set import RevocationLists
    from sipmesh.trust.revocation.ocsp import OcspAnswers
    from sipmesh.trust.trusted_peer import TrustedPeer

GUESSES = 3  # unknown names for which a similar name is searched in the topology
FAR, NEAR = 50, 10  # alphabetical neighbours on each side to compare a name with, at about 20 us each
LIKENESS = 0.7  # minimum similarity of two names (`difflib`)
NO_PATH = "there is no path to a trusted anchor"  # what a check saw that needs one
NO_NAMES: frozenset[str] = frozenset()  # shared: Python would make a new empty set for each link


class Evaluation:
    """The input of the checks. *fault*: why no certificate could be read, or was. *live*: the link was accepted before."""

    def __init__(self, evidence: PeerEvidence, policy: LinkPolicy, at: datetime, *, live: bool = False) -> None:
        self.evidence, self.policy, self.at, self.live = evidence, policy, at, live
        self.leaf: x509.Certificate | None = None
        self.pool: list[x509.Certificate] = []
        self.fault = too_long(evidence.presented)
        self._looked_up_in: tuple[RevocationLists | None, OcspAnswers | None] = (None, None)
        if not self.fault:
            self._read(evidence.presented[: PRESENTED + 1])
        presented = [self.leaf, *self.pool] if self.leaf else self.pool
        self.costly = costly_keys(presented)
        self.excess = self.costly or excess(presented)  # if set, no path is searched

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
        if why := too_many_names([self.leaf, *self.pool] if self.leaf else self.pool):
            self.fault, self.leaf, self.pool = why, None, []

    def again(self, evidence: PeerEvidence, at: datetime, *, live: bool = False) -> Evaluation:
        """Give the evaluation of another handshake with the same certificates and policy. Computed facts are kept.

        The exception is the look-up in CRLs and OCSP responses, if these were replaced in the meantime.
        """
        authority = self.trail.authority
        if authority is not None and not self._is_looked_up_in(authority):
            self.__dict__.pop("listed", None)
            self.listed  # noqa: B018 - compute it once for all later handshakes
        evaluation = Evaluation.__new__(Evaluation)
        evaluation.__dict__.update(self.__dict__)
        evaluation.evidence, evaluation.at, evaluation.live = evidence, at, live
        return evaluation

    def _is_looked_up_in(self, authority: Authority) -> bool:
        lists, answers = self._looked_up_in
        return lists is authority.lists and answers is authority.answers

    @property
    def opened(self) -> bool:
        """Whether we opened the link, and so expect a certain peer."""
        return self.evidence.direction is Direction.OPENED

    @cached_property
    def names(self) -> Identities:
        """The SIP identities of the leaf."""
        return identities(self.leaf) if self.leaf else Identities()

    @cached_property
    def named(self) -> tuple[TrustedPeer, ...]:
        """The topology entries that the identities name, without duplicates."""
        found = [peer for name in self.names.usable for peer in self.policy.peers.get(name, ())]
        return tuple(dict.fromkeys(found))

    @cached_property
    def peer(self) -> TrustedPeer | None:
        """The entry with which this certificate is compared: the expected entry, or the only entry that it names."""
        if self.opened:
            return self.policy.meant
        if self.policy.challenged is not None:
            return self.policy.challenged
        return self.named[0] if len(self.named) == 1 else None

    @cached_property
    def proved(self) -> frozenset[str]:
        """The names of the entry that the certificate proves. A trunk that is challenged has proved none yet."""
        if self.policy.challenged is not None:
            return frozenset({f"{self.policy.challenged.name} by digest"})
        return self.peer.identity.intersection(self.names.usable) if self.peer else NO_NAMES

    @cached_property
    def device(self) -> DeviceIdentity | None:
        """Whose device the certificate says that it is of, on a client port that asks for it."""
        return device_identity(self.leaf) if self.leaf is not None and self.policy.devices is not None else None

    @cached_property
    def foreign(self) -> dict[str, tuple[TrustedPeer, ...]]:
        """Identities outside the entry's scope, each with the other entries whose scope contains it."""
        if self.peer is None:
            return {}
        scope = self.peer.scope
        outside = [name for name in self.names.usable if name not in scope]
        return {name: tuple(peer for peer in self.policy.peers.in_scope(name) if peer != self.peer) for name in outside}

    @cached_property
    def shared(self) -> dict[str, str]:
        """Identities in the scope of a topology entry that identify no single server, such as the name of a pool."""
        entries = {name: self.policy.peers.in_scope(name) for name in self.unknown}
        return {name: peers[-1].name for name, peers in entries.items() if peers}

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """Identities that name no entry."""
        return tuple(name for name in self.names.usable if name not in self.policy.peers)

    @cached_property
    def blocks(self) -> dict[str, str]:
        """The blocked names of the peer or of its entry, each with the name that the topology blocks."""
        found = {name: self._block_on(name) for name in self.names.usable}
        if self.peer:
            found |= {name: name for name in self.peer.names & self.policy.blocked}
        return {name: block for name, block in found.items() if block}

    def _block_on(self, name: str) -> str:
        """Return the blocked name that applies: *name*, or a domain above it if *name* is not in the topology; else ""."""
        blocked = self.policy.blocked
        if name in blocked or name in self.policy.peers:
            return name if name in blocked else ""
        labels = name.split(".")
        above = (".".join(labels[depth:]) for depth in range(1, len(labels)))
        return next((domain for domain in above if domain in blocked), "")

    @cached_property
    def counted(self) -> tuple[Authority, ...]:
        """The authorities whose anchors are used: that of the entry. Without one entry: those of all possible entries."""
        if self.policy.devices is not None:
            return (self.policy.devices,)
        if self.peer:
            return (self.peer.authority,)
        candidates = self.named or [peer for name in self.names.usable for peer in self.policy.peers.in_scope(name)]
        authorities = {id(peer.authority): peer.authority for peer in candidates}
        return tuple(authorities.values()) or tuple(self.policy.authorities)

    @cached_property
    def trail(self) -> Trail:
        """The path to an anchor of the first of these authorities that has one."""
        best = Trail(refusal="no authority is trusted for these names")
        if self.leaf is None:
            return best
        if self.excess:
            return Trail(refusal=self.excess)
        for authority in self._promising(self.counted):
            pool = self.pool if self.policy.devices is None else [*self.pool, *authority.devices]
            found = (asserted_path if authority.by_dane else find_path)(self.leaf, pool, authority, self.at)
            if found.verified:
                return found
            best = found if found.path or not best.authority else best
        return best

    @property
    def by_dane(self) -> bool:
        """Whether the TLSA records of the entry count in place of a CA."""
        return self.peer is not None and self.peer.authority.by_dane

    @property
    def anchors(self) -> Sequence[x509.Certificate]:
        """The anchors of the entry. Where TLSA records count in place of a CA: the CA of a record, if a path leads there."""
        if self.by_dane:
            return self.trail.path[1:][-1:]
        return self.peer.authority.anchors if self.peer is not None else ()

    def _promising(self, authorities: Sequence[Authority]) -> Sequence[Authority]:
        """Leave out authorities that cannot end a path: an unknown peer must not make us try those of a whole network."""
        if len(authorities) < 2:  # noqa: PLR2004 - several
            return authorities
        return [authority for authority in self._anchored if any(authority is other for other in authorities)]

    @cached_property
    def _anchored(self) -> Sequence[Authority]:
        """The authorities with an anchor whose name is the issuer of a presented certificate."""
        presented = [self.leaf, *self.pool] if self.leaf else self.pool
        return self.policy.peers.anchored_at(dict.fromkeys(certificate.issuer for certificate in presented))

    @cached_property
    def elsewhere(self) -> Trail:
        """If there is no path to an accepted anchor: the path to an anchor of another authority, for the explanation."""
        if self.leaf and not self.trail.path and not self.excess:
            for authority in self._anchored:
                path = next(walk(self.leaf, self.pool, authority.anchors), None)
                if path and authority not in self.counted:
                    return Trail(path, authority)
        return Trail()

    @cached_property
    def line(self) -> Path:
        """The certificates to check one by one: the path if there is one, otherwise only the leaf."""
        return self.trail.path or self.elsewhere.path or ((self.leaf,) if self.leaf else ())

    @cached_property
    def span(self) -> tuple[datetime, datetime, str]:
        """The first and last instant at which all certificates of the line are valid (inclusive), and the end as text."""
        begin, end = (
            max(certificate.not_valid_before_utc for certificate in self.line),
            min(certificate.not_valid_after_utc for certificate in self.line),
        )
        return begin, end, f"valid until {tell_time(end)}"

    @cached_property
    def listed(self) -> tuple[Listed, ...]:
        """The certificates of the path, each with its CRL and OCSP responses."""
        path, authority = self.trail.path, self.trail.authority
        if authority is None:
            return ()
        self._looked_up_in = (authority.lists, authority.answers)
        answers = authority.answers
        if self.evidence.stapled and authority.source is not RevocationSource.LISTS:
            answers = beside_staple(answers, self.evidence.stapled)
        return look_up(path, authority.lists, answers)

    @cached_property
    def nearest(self) -> dict[str, str]:
        """Names in the topology that are similar to the first unknown identities, which may be misspelled.

        If no known CA has signed the certificate, fewer names are compared: any peer can cause this work.
        """
        alike, reach = self.policy.peers.alike, FAR if self.trail.path or self.elsewhere.path else NEAR
        near = {name: get_close_matches(name, alike(name, reach), 1, LIKENESS) for name in self.unknown[:GUESSES]}
        return {name: found[0] for name, found in near.items() if found}
