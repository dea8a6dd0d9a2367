"""What one link may be: whom we know, by which names, under which authority.

The topology builds it, the judge reads it.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography.x509.verification import Store

from sipmesh.trust.judgement.verdict_cache import VerdictCache
from sipmesh.trust.revocation.crl import RevocationSource
from sipmesh.trust.revocation.ocsp import NO_ANSWERS
from sipmesh.trust.role import ClientUsage, Role
from sipmesh.trust.topology_version import NO_EDITION, TopologyVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cryptography import x509

    from sipmesh.trust.evidence import LinkKind
    from sipmesh.trust.revocation.crl import RevocationLists
    from sipmesh.trust.revocation.ocsp import OcspAnswers


@dataclass(frozen=True, slots=True)
class Authority:
    """Anchors that count for one scope, with the revocation lists and OCSP answers of the authorities under them.

    *source* says which of the two must speak for a certificate, *grace* how long either still counts past its next update.
    *name* is what an operator reads: the organisation or the partner. No anchors: nothing can be proved.
    """

    name: str
    anchors: tuple[x509.Certificate, ...]
    lists: RevocationLists = field(compare=False)
    answers: OcspAnswers = field(default=NO_ANSWERS, compare=False)
    source: RevocationSource = RevocationSource.LISTS
    grace: timedelta = timedelta(0)
    store: Store | None = field(init=False, repr=False, compare=False)  # built once; None where there are no anchors

    def __post_init__(self) -> None:
        object.__setattr__(self, "store", Store(list(self.anchors)) if self.anchors else None)

    def relist(self, lists: RevocationLists) -> None:
        """Let *lists* speak from now on: alone of an authority they change while all that stands on it stays."""
        object.__setattr__(self, "lists", lists)

    def hear(self, answers: OcspAnswers) -> None:
        """The same for OCSP answers."""
        object.__setattr__(self, "answers", answers)


@dataclass(frozen=True, slots=True)
class TrustedPeer:
    """One entry of the topology: a server of ours (*role* is set) or a partner (*role* is None).

    All names are lower case.
    """

    name: str  # our server's FQDN; for a partner its edge or its first domain
    role: Role | None
    pool: str | None
    names: frozenset[str]  # all that a certificate of this entry may carry
    identity: frozenset[str]  # at least one of these must be proved: {FQDN}, or a partner's domains and edge
    asserts: frozenset[str]  # SIP domains whose users it may assert (rule R10)
    authority: Authority
    client_usage: ClientUsage = ClientUsage.STRICT

    @property
    def scope(self) -> frozenset[str]:
        """Every name that may count in a certificate of this entry."""
        return self.names | self.identity

    @property
    def is_partner(self) -> bool:
        """Whether this is another organisation."""
        return self.role is None

    def __repr__(self) -> str:
        return f"<TrustedPeer {self.name} {self.role or 'partner'} under {self.authority.name}>"


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """Everything the judge needs to know about one kind of link at one of our servers.

    *peers* holds every entry of the topology, servers and partners alike, under each name of its ``identity``: only so
    can the judge tell a wrong role from an unknown name, and a wrong issuer from an unknown one. Who of them may be at
    the other end of *this* link stands in *may_open*, by ``TrustedPeer.name``, for opened links as for accepted ones.
    An empty *may_open* allows nobody.

    *meant* and *meant_name* are for links that we open: the entry we mean to reach, and the reference name as
    configured or taken from the SIP URI, never one that DNS returned (rule R9).

    *edition* says by which version of the topology this is: who is not in it may be in a newer one.
    """

    kind: LinkKind
    here: str
    may_open: frozenset[str]
    peers: Mapping[str, tuple[TrustedPeer, ...]]
    blocked: frozenset[str] = frozenset()
    meant: TrustedPeer | None = None
    meant_name: str = ""
    grace: timedelta = timedelta(0)  # how long lists count past their next_update, unless the authority says longer
    edition: TopologyVersion = field(default=NO_EDITION, compare=False)
    verdict_cache: VerdictCache = field(default_factory=VerdictCache, init=False, repr=False, compare=False)
    _index: _Index | None = field(default=None, init=False, repr=False, compare=False)

    def entries(self) -> Iterator[TrustedPeer]:
        """Every entry once."""
        told: set[int] = set()
        for held in self.peers.values():
            for peer in held:
                if id(peer) not in told:
                    told.add(id(peer))
                    yield peer

    def authorities(self) -> Iterator[Authority]:
        """Every authority once, that of the meant peer first."""
        told: set[int] = set()
        first = (self.meant,) if self.meant else ()
        for peer in (*first, *self.entries()):
            if id(peer.authority) not in told:
                told.add(id(peer.authority))
                yield peer.authority

    def in_scope(self, name: str) -> Sequence[TrustedPeer]:
        """Every entry in whose scope *name* lies."""
        return self._indexed().by_scope.get(name, ())

    def anchored_at(self, issuers: Iterable[x509.Name]) -> Sequence[Authority]:
        """Every authority that has an anchor of one of these names: no other can end a path of theirs."""
        index = self._indexed()
        return tuple({id(held): held for name in issuers for held in index.by_anchor.get(name, ())}.values())

    def alike(self, name: str, reach: int) -> Sequence[str]:
        """The names to compare *name* with: all of a small network, of a large one its neighbours in the alphabet."""
        names = self._indexed().names
        place = bisect(names, name)
        return names if len(names) <= 2 * reach else names[max(0, place - reach) : place + reach]

    def _indexed(self) -> _Index:
        """Work it out when it is first asked for: a peer that shows its own names under its own anchors asks for none."""
        index = self._index
        if index is None:
            index = _Index(self)
            object.__setattr__(self, "_index", index)
        return index

    def __repr__(self) -> str:
        meant = f" meaning {self.meant_name}" if self.meant_name else ""
        return f"<LinkPolicy {self.kind} at {self.here}{meant}, {len(self.may_open)} may be at the other end>"


class _Index:
    """The entries by the names of their scope, and the authorities by the names of their anchors.

    Strangers ask for these, and a stranger must not make us look through the whole network once per handshake.
    """

    __slots__ = ("by_anchor", "by_scope", "names")

    def __init__(self, policy: LinkPolicy) -> None:
        self.names = sorted(policy.peers)
        self.by_scope: dict[str, list[TrustedPeer]] = {}
        self.by_anchor: dict[x509.Name, list[Authority]] = {}
        for peer in policy.entries():
            for name in peer.scope:
                self.by_scope.setdefault(name, []).append(peer)
        for authority in policy.authorities():
            for subject in {anchor.subject for anchor in authority.anchors}:
                self.by_anchor.setdefault(subject, []).append(authority)
