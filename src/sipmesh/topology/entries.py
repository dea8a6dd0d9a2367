"""The entries of a topology: pools, partners, and whom the judge trusts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.topology.document.identity_policy import IdentityPolicy
from sipmesh.topology.document.listeners import trunk_port
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.topology.document.parts.server import MOST_WORKERS, PARTNER_PORT
from sipmesh.trust.authority import Authority
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.own_names import OwnNames
from sipmesh.trust.role import ClientUsage, Role
from sipmesh.trust.trusted_peer import TrustedPeer
from sipmesh.trust.trusted_peers import TrustedPeers

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.federation import Partner
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.document.parts.server import Server
    from sipmesh.topology.document.parts.trunk import Trunk


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool from the view of its neighbours. *servers* are FQDNs.

    *addresses* (``sip:user@domain``) and *numbers*, first digits of telephone numbers, are the names of an application. Partners
    and trunks may call them if it is *public*. It *screens* the calls to these users and domains; while it does not answer,
    they go on if it *passes* them.
    """

    name: str
    role: Role
    servers: tuple[str, ...]
    next_hop: str | None
    speaks_for: frozenset[str]
    addresses: frozenset[str] = frozenset()
    numbers: tuple[str, ...] = ()
    public: bool = False
    screens: frozenset[str] = frozenset()
    passes: bool = False
    rtpengine: int = 0
    remote_users: bool = False
    backup_pool: str = ""
    takeover_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PartnerView:
    """Another organisation.

    *edge* is host and port of its edge; None if it is found by SRV. Its port is None for the default port. *address* is the IP
    address of the edge; None if DNS is used.
    """

    name: str
    domains: frozenset[str]
    edge: tuple[str, int | None] | None
    address: str | None
    peer: TrustedPeer
    media: MediaPolicy | None = None
    identity_policy: IdentityPolicy | None = None
    trunk: Trunk | None = None

    def is_met_by(self, pool: Pool) -> bool:
        """Tell whether the servers of *pool* deal with this partner: an edge has no trunks, and a gateway has its own only."""
        if pool.role is Role.GATEWAY:
            return self.trunk is not None and self.trunk.gateway == pool.name
        return self.trunk is None or pool.role is not Role.EDGE

    @property
    def listener(self) -> str:
        """The key of our port and name for it: an own one, or that for all partners."""
        is_own = self.trunk is not None and (self.trunk.port or self.trunk.host)
        return trunk_port(self.name) if is_own else str(LinkKind.PARTNER)

    @property
    def addresses(self) -> tuple[tuple[str, int], ...] | None:
        """Host and port of its edge; None if SRV is used. The host is a name if DNS is used for its address."""
        if self.edge is None:
            return ((self.address, PARTNER_PORT),) if self.address else None
        host, port = self.edge
        return ((self.address or host, port or PARTNER_PORT),)

    def meant_name(self, domain: str) -> str:
        """Give the reference identity of a link for *domain*: the configured edge, or else the domain itself (R9)."""
        return self.edge[0] if self.edge else domain


def names_in(topology: Topology, pool: Pool, server: str) -> tuple[str, ...]:
    """Give all names in the certificate of *server* of *pool*, its own first. A search for the pool would take quadratic time."""
    names = [server, pool.name]
    names += [pool.internal_name] if pool.internal_name else []
    names += topology.sip_domains if pool.role in (Role.FRONT_END, Role.EDGE) else ()
    if pool.role is Role.GATEWAY:
        names += hosts_at_trunks(topology, pool, server)
    return tuple(dict.fromkeys(names))


def hosts_at_trunks(topology: Topology, pool: Pool, server: str) -> list[str]:
    """Give the names of *pool* at its trunks, except those for which *server* has a certificate of its own."""
    own = {pair.partner for one in pool.servers if one.name == server for pair in one.partner_certificates}
    trunks = topology.federation.trunks_of(pool.name)
    return [one.trunk.host for one in trunks if one.trunk and one.trunk.host and one.name not in own]


class TopologyEntries:
    """All entries of one topology for the judge: one `TrustedPeer` for each server and each partner."""

    def __init__(self, loaded: Loaded) -> None:
        topology = loaded.topology
        self.sip_domains = frozenset(topology.sip_domains)
        self.partner_domains = frozenset(name for p in topology.federation.organisations for name in p.domains)
        self._behind = self._names_behind(topology)
        self.servers: dict[str, TrustedPeer] = {
            server.name: self._server(topology, pool, server, loaded.authority)
            for pool in topology.pools
            for server in pool.servers
        }
        self.partners = tuple(
            _partner(partner, authority)
            for partner, authority in zip(topology.federation.partners, loaded.partners, strict=True)
        )
        self.peers = TrustedPeers([*self.servers.values(), *(partner.peer for partner in self.partners)])

    def _server(self, topology: Topology, pool: Pool, server: Server, authority: Authority) -> TrustedPeer:
        asserts = {
            Role.FRONT_END: self.sip_domains | self._behind.get(pool.name, frozenset()),
            Role.EDGE: self.partner_domains,
            Role.APPLICATION: frozenset(pool.speaks_for) | self._certified_names(pool),
            Role.MANAGEMENT: frozenset(),
            Role.GATEWAY: frozenset(trunk.name for trunk in topology.federation.trunks_of(pool.name)),
        }
        return TrustedPeer(
            name=server.name,
            role=pool.role,
            pool=pool.name,
            names=frozenset(names_in(topology, pool, server.name)),
            identity=frozenset({server.name}),
            asserts=asserts[pool.role],
            authority=authority,
            client_usage=ClientUsage.STRICT,
            own=self._own_names(pool),
            processes=processes_of(server),
        )

    def _own_names(self, pool: Pool) -> OwnNames | None:
        addresses = frozenset(f"sip:{address}" for address in pool.sip_addresses)
        return OwnNames(addresses, pool.numbers, self.sip_domains) if addresses or pool.numbers else None

    def _certified_names(self, pool: Pool) -> frozenset[str]:
        """Give the names of an application and its servers, which they may speak for as for a domain of their own."""
        return frozenset((pool.name, *(server.name for server in pool.servers))) - self.sip_domains

    def _names_behind(self, topology: Topology) -> dict[str, frozenset[str]]:
        """Give the names of the applications behind each front-end pool, whose requests it passes on to other pools."""
        behind: dict[str, frozenset[str]] = {}
        for pool in topology.pools:
            if pool.role is Role.APPLICATION and pool.next_hop:
                behind[pool.next_hop] = behind.get(pool.next_hop, frozenset()) | self._certified_names(pool)
        return behind


def processes_of(server: Server) -> int:
    """Tell how many processes a server has at most: its workers, and their supervisor."""
    if server.workers == 1:
        return 1
    return 1 + (MOST_WORKERS if server.workers == "auto" else server.workers)


def _partner(partner: Partner, authority: Authority) -> PartnerView:
    names = frozenset(partner.identities)
    peer = TrustedPeer(
        name=partner.edge_address[0] if partner.edge_address else partner.name,
        role=None,
        pool=None,
        names=names,
        identity=names,
        asserts=frozenset(partner.domains),
        authority=authority,
        client_usage=partner.client_usage,
        is_trunk=partner.trunk is not None,
    )
    domains = frozenset(partner.domains)
    found = partner.edge_address, partner.address, peer, partner.media, partner.identity, partner.trunk
    return PartnerView(partner.name, domains, *found)


def pool_view(pool: Pool) -> PoolView:
    """Give a pool as its neighbours see it."""
    return PoolView(
        name=pool.name,
        role=pool.role,
        servers=tuple(server.name for server in pool.servers),
        next_hop=pool.next_hop,
        speaks_for=frozenset(pool.speaks_for),
        addresses=frozenset(f"sip:{address}" for address in pool.sip_addresses),
        numbers=pool.numbers,
        public=pool.public,
        screens=frozenset(pool.screens),
        passes=pool.if_away == "pass",
        rtpengine=pool.rtpengine or 0,
        remote_users=pool.remote_users,
        backup_pool=pool.backup_pool or "",
        takeover_after_s=float(pool.takeover_after),
    )
