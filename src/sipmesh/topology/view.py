"""The topology from the view of one server: its listeners, its neighbours, and the policy of each of its links.

It implements the table of links: which role may open which link, and which identities the sender may assert.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from sipmesh.errors import OperatorError, Problem
from sipmesh.topology.document.acme_orders import challenge_host, names_at_public_ca
from sipmesh.topology.document.listeners import ListenerSpec, listeners
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.topology.document.names import is_url, split_port
from sipmesh.topology.document.parts.acme import ACME
from sipmesh.topology.document.parts.invitations import HTTPS_PORT
from sipmesh.topology.document.report import did_you_mean
from sipmesh.topology.document.storage.valkey_url import ValkeyUrl, valkey_url
from sipmesh.topology.entries import PartnerView, PoolView, TopologyEntries, names_in, pool_view
from sipmesh.topology.reachable_addresses import reachable_addresses
from sipmesh.topology.server_choice import NO_SERVERS, ServerChoice
from sipmesh.topology.server_files import AcmeOrder, ClientFiles, PartnerFiles
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.revocation.revocation_source import RevocationSource
from sipmesh.trust.role import BORDERS, ClientAuth, Role
from sipmesh.trust.topology_version import TopologyVersion
from sipmesh.trust.trusted_peer import TrustedPeer
from sipmesh.trust.trusted_peers import TrustedPeers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from cryptography import x509

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.document.parts.stores import PoolStorage


def web_origins(topology: Topology) -> frozenset[str]:
    """Give the web origins whose pages may open a WebSocket: those of the document, else https at each SIP domain."""
    if topology.websocket is None:
        return frozenset()
    return frozenset(topology.websocket.origins or (f"https://{domain}" for domain in topology.sip_domains))


def has_web_phone(topology: Topology, pool: Pool) -> bool:
    """Tell whether the servers of *pool* serve the web phone: front ends, if the document says so."""
    return topology.websocket is not None and topology.websocket.phone and pool.role is Role.FRONT_END


def invitation_hosts(topology: Topology) -> dict[str, str]:
    """Give the host and port in the links of invitations, as a URL has them, by management server."""
    pages = topology.invitations
    if pages is None:
        return {}
    port = pages.port or split_port(pages.listen)[1]
    managers = [server.name for pool in topology.pools if pool.role is Role.MANAGEMENT for server in pool.servers]
    suffix = "" if port == HTTPS_PORT else f":{port}"
    return {manager: f"{pages.name or manager}{suffix}" for manager in managers}


def certificate_names(topology: Topology, server: str) -> tuple[str, ...]:
    """Give all names in the certificate of *server*, its own first.

    Front ends and edges have the SIP domains too, because a peer looks for the domain that it asked for (RFC 5922).
    Raises OperatorError if there is no such server.
    """
    pool = topology.pool_of(server)
    if pool is None:
        raise unknown_server(topology, server)
    return names_in(topology, pool, server)


def unknown_server(topology: Topology, name: str, file: Path | None = None) -> OperatorError:
    """Make the error for a server name that is not in the topology."""
    known = topology.server_names
    remedy = did_you_mean(name, known, f"the topology has: {', '.join(known)}")
    problems = (Problem(file, 0, "pools", f"no server is named {name!r}", remedy),) if file else ()
    return OperatorError(f"{name!r} is not a server of the topology; {remedy}", problems)


class ServerView:
    """The topology from the view of one server. Immutable; a changed topology needs a new view."""

    def __init__(self, loaded: Loaded, name: str) -> None:
        topology = loaded.topology
        pool = topology.pool_of(name.lower())
        if pool is None:
            raise unknown_server(topology, name, loaded.file)
        self.loaded = loaded
        self._pool = pool
        self._server = next(server for server in pool.servers if server.name == name.lower())
        self._directory = TopologyEntries(loaded)
        self.name, self.role = self._server.name, pool.role
        self.organisation = topology.organisation
        self.client_auth = self._server.client_auth
        self.sip_domains = frozenset(topology.sip_domains)
        self.pools: Mapping[str, PoolView] = MappingProxyType({p.name: pool_view(p) for p in topology.pools})
        self.pool = self.pools[pool.name]
        self.pool_mates = tuple(server.name for server in pool.servers if server.name != self.name)
        self.next_hop = pool.next_hop
        self.listeners: tuple[ListenerSpec, ...] = listeners(topology, pool, self._server)
        self.trusted: Mapping[str, TrustedPeer] = MappingProxyType(self._directory.servers)
        self.web_origins = web_origins(topology)
        self.has_web_phone = has_web_phone(topology, pool)
        self.federation_route = topology.federation.route
        self.partners = tuple(one for one in self._directory.partners if one.is_met_by(pool))
        self.blocked = frozenset(topology.federation.blocked)
        self.media: Mapping[str, MediaPolicy] = MappingProxyType(
            {domain: topology.media.domains.get(domain, topology.media.default) for domain in topology.sip_domains}
        )
        self.dns_servers = topology.dns.servers if topology.dns else ()
        self.reachable = reachable_addresses(topology)

    @cached_property
    def addresses(self) -> Mapping[str, tuple[str | None, int]]:
        """Address and server port of each of our servers. If the address is None, DNS is used."""
        servers = self.loaded.topology.servers
        return MappingProxyType({server.name: (server.address, server.server_port) for server in servers})

    @property
    def bindings_storage(self) -> PoolStorage:
        """Where the registrations of this server's pool are stored."""
        return self.loaded.topology.storage_of(self._pool)

    @property
    def stores(self) -> tuple[PoolStorage, str]:
        """Where a front end stores registrations and messages: it opens both at its start."""
        return self.bindings_storage, self.loaded.messages_url

    @property
    def valkey_url(self) -> ValkeyUrl | None:
        """The store of the pool's registrations, if it is not a file."""
        text = self.bindings_storage.bindings
        return valkey_url(text) if is_url(text) else None

    @property
    def bindings_file(self) -> Path:
        """The file of the pool's registrations, unless they are in `valkey_url`."""
        return self.loaded.folder / self.bindings_storage.bindings

    @property
    def publish_lists(self) -> tuple[str, int] | None:
        """The address and port at which this server publishes our CRLs and OCSP responses, or None."""
        host, port = split_port(self._server.publish_lists) if self._server.publish_lists else ("", None)
        return (host, port) if port is not None else None

    @property
    def metrics(self) -> tuple[str, int] | None:
        """The address and port of this server's metrics, or None."""
        host, port = split_port(self._server.metrics) if self._server.metrics else ("", None)
        return (host, port) if port is not None else None

    @property
    def metrics_tls(self) -> bool:
        """Whether the metrics are served over TLS, to operators alone."""
        return self._server.metrics_tls

    @property
    def console(self) -> tuple[str, int] | None:
        """The address and port of the console, if this is a management server that serves one; otherwise None."""
        console = self.loaded.topology.console
        if console is None or self.role is not Role.MANAGEMENT:
            return None
        host, port = split_port(console.listen)
        return (host, port) if port is not None else None

    @property
    def invitations(self) -> tuple[str, int] | None:
        """The address and port at which devices take invitations, if this management server has such pages; otherwise None."""
        pages = self.loaded.topology.invitations
        if pages is None or self.role is not Role.MANAGEMENT:
            return None
        host, port = split_port(pages.listen)
        return (host, port) if port is not None else None

    @property
    def invitation_files(self) -> tuple[Path, Path]:
        """The certificate chain and key of the pages at which devices take invitations."""
        pages = self.loaded.topology.invitations
        if pages is None or pages.certificate is None or pages.key is None:
            return self.certificate, self.key
        return self.loaded.folder / pages.certificate, self.loaded.folder / pages.key

    @property
    def invitation_host(self) -> str:
        """The host and port in the links of invitations, as a URL has them; "" without such pages on this server."""
        return invitation_hosts(self.loaded.topology).get(self.name, "")

    @property
    def invitation_hosts(self) -> tuple[str, ...]:
        """The same of each management server."""
        return tuple(dict.fromkeys(invitation_hosts(self.loaded.topology).values()))

    @property
    def workers(self) -> int | Literal["auto"]:
        """How many processes share the ports of this server; ``auto``: one for each CPU core of its machine."""
        return self._server.workers

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All names that this server's own certificate must have."""
        return certificate_names(self.loaded.topology, self.name)

    @property
    def certificate(self) -> Path:
        """The certificate chain for our servers and clients, leaf first."""
        return self.loaded.folder / self._server.certificate_file

    @property
    def key(self) -> Path:
        """The private key of `certificate`."""
        return self.loaded.folder / self._server.key_file

    @property
    def signer(self) -> tuple[Path, Path]:
        """The certificate chain and key with which a management server signs documents."""
        return (
            self.loaded.folder / self._server.signer_certificate_file,
            self.loaded.folder / self._server.signer_key_file,
        )

    def identity(self, kind: LinkKind, peer: str = "") -> tuple[Path, Path]:
        """Give the certificate chain and key for links of *kind*, with the partner that has the name *peer*.

        An edge may have another pair for partners, and one for a single partner.
        """
        outside = self._server.outside
        if kind is LinkKind.PARTNER:
            for files in self.partner_certificates:
                if peer in files.names:
                    return files.certificate, files.key
            if outside and outside.certificate and outside.key:
                return self.loaded.folder / outside.certificate, self.loaded.folder / outside.key
        return self.certificate, self.key

    @property
    def partner_certificates(self) -> tuple[PartnerFiles, ...]:
        """The certificate chains for single partners, each with its key; an operator brings them."""
        folder = self.loaded.folder
        partners = self.loaded.topology.federation.partners
        return tuple(
            PartnerFiles(
                partner.name,
                frozenset(partner.identities),
                folder / one.certificate,
                folder / one.key,
                (partner.trunk.host or "") if partner.trunk is not None else "",
            )
            for one in self._server.partner_certificates
            for partner in partners
            if one.partner in partner.domains
        )

    @property
    def client_certificates(self) -> tuple[ClientFiles, ...]:
        """The further certificate chains for clients, each with its key; an operator brings or issues them."""
        folder = self.loaded.folder
        return tuple(
            ClientFiles(folder / one.certificate, folder / one.key, one.port, frozenset(one.names or ()))
            for one in self._server.files_for_clients
        )

    @property
    def acme_order(self) -> AcmeOrder | None:
        """The certificate that this server orders from the public CA of the topology; None if it orders none."""
        topology, server = self.loaded.topology, self._server
        if topology.acme is None or server.client_certificates != ACME:
            return None
        [files] = self.client_certificates
        names = names_at_public_ca(topology, self._pool, server, topology.acme)
        host = challenge_host(self._pool, server, topology.acme)
        return AcmeOrder(topology.acme, files.certificate, files.key, names, host)

    def partner_for(self, domain: str) -> PartnerView | None:
        """Give the partner that owns *domain*; None for our own, unknown and blocked domains."""
        return self._domains.get(domain.lower())

    def partner_named(self, name: str) -> PartnerView | None:
        """Give the partner with *name*, which is one of its domains or its edge, or None."""
        return self._named.get(name.lower())

    @cached_property
    def _domains(self) -> Mapping[str, PartnerView]:
        """The partners by each of their domains, in lower case."""
        return {domain: partner for partner in reversed(self.partners) for domain in partner.domains}

    @cached_property
    def _named(self) -> Mapping[str, PartnerView]:
        """The partners by each of their domains and edges, in lower case."""
        return {name: partner for partner in reversed(self.partners) for name in partner.peer.identity}

    @cached_property
    def hosts_at_trunks(self) -> Mapping[str, str]:
        """The names of this gateway at its trunks, by the key of our port and name; none on other servers."""
        if self.role is not Role.GATEWAY:
            return MappingProxyType({})
        named = [(one.listener, one.trunk.host) for one in self.partners if one.trunk is not None]
        return MappingProxyType({key: host for key, host in named if host})

    def listener_for(self, partner: str) -> str:
        """Give the key of our port and name for a partner or trunk, by the name of its entry."""
        return next((one.listener for one in self.partners if one.peer.name == partner), str(LinkKind.PARTNER))

    def backup_of(self, pool: str) -> str:
        """Give the pool that serves the users of *pool* while none of its servers answers; "" if there is none."""
        found = self.pools.get(pool)
        return found.backup_pool if found is not None else ""

    def next_hops_of(self, pool: PoolView) -> tuple[str, ...]:
        """Give the next hop of a pool, and the backup pool of this next hop."""
        next_hop = pool.next_hop or ""
        return tuple(name for name in (next_hop, self.backup_of(next_hop)) if name)

    def way_to(self, pool: str) -> ServerChoice:
        """Give the servers for requests to users of *pool*: its own, then those of its backup pool, unless that is ours."""
        return self._ways.get(pool, NO_SERVERS)

    def servers_of(self, pool: str) -> tuple[str, ...]:
        """Give the servers of a pool; empty if there is no such pool."""
        found = self.pools.get(pool)
        return found.servers if found is not None else ()

    def choice_of(self, pool: str) -> ServerChoice:
        """Give the servers of a pool, those at the site of this server first; empty if there is no such pool."""
        return self._choices.get(pool, NO_SERVERS)

    @cached_property
    def _ways(self) -> Mapping[str, ServerChoice]:
        backups = {name: pool.backup_pool for name, pool in self.pools.items() if pool.backup_pool != self.pool.name}
        return {name: self.choice_of(name).then(self.choice_of(backups.get(name, ""))) for name in self.pools}

    @cached_property
    def _choices(self) -> Mapping[str, ServerChoice]:
        sites = self.loaded.topology.site_of_each
        here = sites[self.name]
        return {name: ServerChoice.near(here, pool.servers, sites) for name, pool in self.pools.items()}

    @property
    def edition(self) -> TopologyVersion:
        """The version of this topology."""
        return TopologyVersion(self.loaded.number)

    def client_auth_at(self, port: str) -> ClientAuth:
        """Give how clients prove their users on *port*, a key of `ports`. Browsers end the handshake if they are asked."""
        return self.client_auth if port == LinkKind.CLIENT else ClientAuth.PASSWORD

    def accept_policy(self, kind: LinkKind, port: str = "") -> LinkPolicy:
        """Give the policy for links that our listener of *kind* accepts; *port* is its key, "" for all of this kind."""
        if kind is LinkKind.PARTNER:
            return self._accept_at(port)
        asks = self.client_auth_at(port)
        if kind is not LinkKind.CLIENT or asks is ClientAuth.PASSWORD:
            return self._accept[kind]
        authority = self.loaded.authority
        return replace(self._accept[kind], client_auth=asks, devices=authority, domains=self.sip_domains)

    def _accept_at(self, port: str) -> LinkPolicy:
        """Give the policy for links of partners or trunks at *port*: a trunk with a port of its own may open them there alone."""
        policy, partner = self._accept[LinkKind.PARTNER], self.trunk_at(port)
        if port == LinkKind.PARTNER:
            common = (one.peer.name for one in self.partners if one.trunk is None or one.trunk.port is None)
            return replace(policy, may_open=frozenset(common))
        if partner is None or partner.trunk is None:
            return policy
        own, challenge = replace(policy, may_open=frozenset({partner.peer.name})), partner.trunk.challenge
        return own if challenge is None else replace(own, challenged=partner.peer, networks=challenge.networks)

    def trunk_at(self, port: str) -> PartnerView | None:
        """Give the trunk that has the port or name with this key for itself; None for other keys."""
        return next((one for one in self.partners if one.listener == port != LinkKind.PARTNER), None)

    def open_policy(self, kind: LinkKind, meant_name: str) -> LinkPolicy:
        """Give the policy for a link of *kind* that we open to *meant_name*, from configuration or a SIP URI (R9)."""
        name = meant_name.lower()
        entries = self._directory.peers.get(name, ())
        return LinkPolicy(
            kind=kind,
            here=self.name,
            may_open=self._open[kind],
            peers=self._directory.peers,
            blocked=self.blocked,
            meant=entries[0] if len(entries) == 1 else None,
            meant_name=name,
            edition=self.edition,
        )

    def policy_on_us(self, kind: LinkKind, host: str = "") -> LinkPolicy:
        """Give the policy with which the peers of our links of *kind* judge us, for opened and accepted links.

        Our servers use this topology. Partners use the names by which they know us, here with the anchors of our own CA, because
        their anchors for us are not known. *host* is the name by which one trunk knows us.
        """
        us = self.trusted[self.name]
        if kind is LinkKind.PARTNER:
            names = (self.sip_domains if self.role is Role.EDGE else frozenset()) | {self.pool.name}
            names = names.union(self.hosts_at_trunks.values())
            us = replace(us, name=host or self.pool.name, role=None, pool=None, names=names, identity=names)
        return LinkPolicy(
            kind=kind,
            here=self.name,
            may_open=frozenset({us.name}),
            peers=TrustedPeers((us,)),
            meant=us,
            meant_name=us.name,
        )

    def anchors(self, kind: LinkKind) -> tuple[x509.Certificate, ...]:
        """Give all anchors for the handshakes on links of *kind*. The judge accepts fewer, by the peer's entry.

        Clients are asked for no certificate. Anchors of partners are not used on links between our servers.
        """
        authorities = {
            LinkKind.CLIENT: (),
            LinkKind.SERVER: (self.loaded.authority,),
            LinkKind.PARTNER: self.loaded.partners,
        }
        found = {anchor: None for authority in authorities[kind] for anchor in authority.anchors}
        return tuple(found)

    @property
    def has_dane_only(self) -> bool:
        """Whether TLSA records count in place of the CA of a partner."""
        return any(authority.by_dane for authority in self.loaded.partners)

    def needs_post_quantum(self, kind: LinkKind) -> bool:
        """Tell whether links of *kind* need a post-quantum key exchange: those between our servers, if the topology says so."""
        return kind is LinkKind.SERVER and self.loaded.topology.post_quantum

    def asks_for_staple(self, kind: LinkKind, name: str) -> bool:
        """Tell whether the peer of a link that we open is asked to staple its OCSP response: OCSP or SCTs count for it."""
        partner = self.partner_named(name) if kind is LinkKind.PARTNER else None
        authority = partner.peer.authority if partner is not None else self.loaded.authority
        return authority.source is not RevocationSource.LISTS or authority.transparency is not None

    @cached_property
    def _accept(self) -> Mapping[LinkKind, LinkPolicy]:
        return {
            kind: LinkPolicy(
                kind=kind,
                here=self.name,
                may_open=frozenset(self._accepts(kind)),
                peers=self._directory.peers,
                blocked=self.blocked,
                edition=self.edition,
            )
            for kind in LinkKind
        }

    @cached_property
    def _open(self) -> Mapping[LinkKind, frozenset[str]]:
        """The peers to which we may open links of each kind, by name. Computed once."""
        return {kind: frozenset(self._opens(kind)) for kind in LinkKind}

    def may_open_to(self, server: str) -> bool:
        """Tell whether this server may open a link to *server*, another one of ours."""
        return server in self._open[LinkKind.SERVER]

    def _accepts(self, kind: LinkKind) -> Iterator[str]:
        """Give the peers that may open a link of *kind* to us."""
        if kind is LinkKind.PARTNER and self.role in BORDERS:
            yield from (partner.peer.name for partner in self.partners)
        if kind is LinkKind.SERVER:
            yield from (name for name, peer in self.trusted.items() if self._may_link(peer, self.trusted[self.name]))

    def _opens(self, kind: LinkKind) -> Iterator[str]:
        """Give the peers to which we may open a link of *kind*."""
        if kind is LinkKind.PARTNER and self.role in BORDERS:
            yield from (partner.peer.name for partner in self.partners)
        if kind is LinkKind.SERVER:
            yield from (name for name, peer in self.trusted.items() if self._may_link(self.trusted[self.name], peer))

    def _may_link(self, opener: TrustedPeer, other: TrustedPeer) -> bool:
        """Apply the table of links for two of our own servers."""
        if opener.name == other.name or not opener.pool or not other.pool:
            return False
        match (opener.role, other.role):
            case (Role.FRONT_END, Role.FRONT_END | Role.EDGE | Role.GATEWAY) | (Role.MANAGEMENT, Role.FRONT_END):
                return True
            case (Role.EDGE | Role.GATEWAY, Role.FRONT_END):
                return other.pool in self.next_hops_of(self.pools[opener.pool])
            case (Role.APPLICATION, Role.FRONT_END):
                return self.pools[opener.pool].next_hop == other.pool
            case (Role.FRONT_END, Role.APPLICATION):
                return self.pools[other.pool].next_hop == opener.pool
        return False


def view(loaded: Loaded, server: str) -> ServerView:
    """Give the view of *server*; raises OperatorError with the nearest name if the topology has no such server."""
    return ServerView(loaded, server)
