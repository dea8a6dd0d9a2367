"""What may stand in a topology document: its parts, their keys and their defaults.

A value of these classes has the right *shape* (keys, types, well-formed names); whether its parts agree with each other
is `validate`'s business, and only `document.load` hands out a topology that passed both. Every part is immutable.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from sipmesh.topology.document.names import (
    Address,
    AddressAndPort,
    FileName,
    FileOrUrl,
    Fqdn,
    FqdnAndPort,
    Hours,
    HttpUrl,
    ListenOn,
    Mebibytes,
    Port,
    split_port,
)
from sipmesh.trust.revocation.crl import RevocationSource
from sipmesh.trust.role import ClientUsage, Role

CLIENT_PORT = 5061  # sips default, RFC 3261 19.1.2
SERVER_PORT = 5062
PARTNER_PORT = 5061


class Part(BaseModel):
    """One mapping of the document; a key that it does not know is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Ports(Part):
    """The ports of one server; what is left out takes the default of its role."""

    client: Port | None = Field(
        default=None, description="phones log in on this port over TLS (front ends; default 5061)"
    )
    server: Port | None = Field(default=None, description="our own servers connect to this port (default 5062)")
    partner: Port | None = Field(
        default=None, description="partners connect to this port (outside of an edge; default 5061)"
    )


class Outside(Part):
    """The side of an edge that faces other organisations."""

    address: Address | None = Field(
        default=None, description="the address that partners connect to; by default DNS is used"
    )
    bind: Address | None = Field(
        default=None, description="the address to listen on; by default `address`, else every address"
    )
    certificate: FileName | None = Field(
        default=None, description="certificate chain for partners; by default that of the inside"
    )
    key: FileName | None = Field(default=None, description="private key of that certificate")


class Server(Part):
    """One server. Written as a mapping, or as its name alone when the defaults fit."""

    name: Fqdn = Field(description="full name of the server, its identity in this network")
    address: Address | None = Field(
        default=None, description="the address that our servers connect to; by default DNS is used"
    )
    bind: Address | None = Field(
        default=None, description="the address to listen on; by default `address`, else every address"
    )
    ports: Ports = Field(default=Ports(), description="ports that differ from the defaults")
    outside: Outside | None = Field(default=None, description="the side of an edge that faces partners")
    certificate: FileName | None = Field(
        default=None, description="certificate chain, leaf first; by default servers/NAME.pem"
    )
    key: FileName | None = Field(default=None, description="private key; by default servers/NAME.key")
    metrics: ListenOn | None = Field(
        default=None,
        description="address:port of its metrics (Prometheus over HTTP), or a port on loopback; by default none",
    )

    @property
    def certificate_file(self) -> str:
        """Where the certificate chain is, relative to the topology's folder."""
        return self.certificate or f"servers/{self.name}.pem"

    @property
    def key_file(self) -> str:
        """Where the private key is, relative to the topology's folder."""
        return self.key or f"servers/{self.name}.key"

    @property
    def signer_certificate_file(self) -> str:
        """Where a management server has the certificate chain that it signs publications by, beside its own."""
        return f"servers/{self.name}.signer.pem"

    @property
    def signer_key_file(self) -> str:
        """Where the private key of that certificate is."""
        return f"servers/{self.name}.signer.key"

    @property
    def server_port(self) -> int:
        """The port on which this server takes links from our other servers."""
        return self.ports.server or SERVER_PORT


def _in_full(given: object) -> object:
    """Take a bare name for the mapping it stands for."""
    return {"name": given} if isinstance(given, str) else given


AnyServer = Annotated[Server, BeforeValidator(_in_full, json_schema_input_type=str | Server)]


class Pool(Part):
    """One or more servers that share a name and a role."""

    name: Fqdn = Field(description="full name of the pool; the only server of a pool may have the same name")
    role: Role = Field(description="the role of its servers")
    servers: tuple[AnyServer, ...] = Field(min_length=1, description="the servers of the pool")
    internal_name: Fqdn | None = Field(default=None, description="the name of an edge pool on its inside")
    next_hop: Fqdn | None = Field(
        default=None, description="the front-end pool to which an edge or application sends requests"
    )
    speaks_for: tuple[Fqdn, ...] = Field(
        default=(), description="SIP domains of ours whose users an application may assert"
    )


class AuthorityEntry(Part):
    """A certificate authority: the roots that count, and where it says what it has revoked."""

    grace_by_default: ClassVar[timedelta] = timedelta(0)
    """Our own lists are ours to keep young."""

    list_limit_by_default: ClassVar[int] = 64
    """MiB: a million entries, and what a Windows CA of many years may have."""

    anchors: tuple[FileName, ...] = Field(min_length=1, description="PEM files of the roots that are trusted")
    crls: tuple[FileOrUrl, ...] = Field(
        description="revocation lists, a list for each CA in the chain: files, or URLs that servers fetch"
    )
    ocsp: tuple[HttpUrl, ...] = Field(default=(), description="URLs of its OCSP responders, in the order of use")
    revocation: RevocationSource = Field(
        default=RevocationSource.LISTS,
        description="the revocation check: lists, ocsp (OCSP responses where there is no list), or both",
    )
    grace: Hours | None = Field(
        default=None,
        description="hours of grace after nextUpdate of a list or OCSP response (default: ours 0, a partner's 24)",
    )

    list_limit: Mebibytes | None = Field(
        default=None, description="largest size of a revocation list in MiB (default: ours 64, a partner's 8)"
    )

    @property
    def largest_list(self) -> int:
        """How many octets one of its lists may have."""
        return (self.list_limit_by_default if self.list_limit is None else self.list_limit) << 20

    @property
    def grace_time(self) -> timedelta:
        """How long a list or an answer still counts past its next update."""
        return self.grace_by_default if self.grace is None else timedelta(hours=self.grace)


class Partner(AuthorityEntry):
    """Another organisation, trusted for its own domains and its edge's name and for nothing else."""

    grace_by_default: ClassVar[timedelta] = timedelta(days=1)
    """Whoever keeps a partner's lists from us for an hour must not cut it off by that."""

    list_limit_by_default: ClassVar[int] = 8
    """MiB: a hundred and fifty thousand entries. What a partner revokes costs our memory and our time."""

    domains: tuple[Fqdn, ...] = Field(min_length=1, description="SIP domains of the partner")
    edge: FqdnAndPort | None = Field(
        default=None, description="its edge as name or name:port; by default found by DNS SRV"
    )
    address: Address | None = Field(
        default=None, description="the address of its edge, where DNS is not to be asked; the name must still be proved"
    )
    client_usage: ClientUsage = Field(
        ClientUsage.STRICT, description="whether its edge may connect with a certificate for serverAuth only"
    )
    third_party: bool = Field(
        default=False,
        description="its CA issues for other organisations also, so that only the name identifies the partner",
    )

    @property
    def name(self) -> str:
        """What we call the partner: its first domain."""
        return self.domains[0]

    @property
    def edge_address(self) -> tuple[str, int | None] | None:
        """Host and port of its edge, as far as they are given."""
        return split_port(self.edge) if self.edge else None

    @property
    def identities(self) -> tuple[str, ...]:
        """The names that are this partner's: its domains and its edge."""
        return self.domains + ((self.edge_address[0],) if self.edge_address else ())


def _off(given: object) -> object:
    """YAML 1.1 tools write the word *off* as false; both mean the same here."""
    return "off" if given is False else given


Discovery = Annotated[Literal["off"], BeforeValidator(_off)]


class Federation(Part):
    """With whom we speak beyond our own organisation. An empty list allows nobody."""

    route: Fqdn | None = Field(default=None, description="the edge pool through which partners are reached")
    discovery: Discovery = Field(
        default="off", description="partners are listed under `partners`; there is no automatic discovery"
    )
    partners: tuple[Partner, ...] = Field(default=(), description="the organisations that may connect")
    blocked: tuple[Fqdn, ...] = Field(
        default=(), description="domains and edges that are refused, with any certificate"
    )


class Dns(Part):
    """Which DNS servers to ask instead of the machine's own."""

    servers: tuple[AddressAndPort, ...] = Field(min_length=1, description="address or address:port of each DNS server")


class Storage(Part):
    """Where facts are kept."""

    users: str = Field(default="sqlite:///users.db", min_length=1, description="database URL of the users")
    bindings: FileName = Field(
        default="state/bindings.db", description="file of the pool's registrations, on a disk of this machine"
    )


class Topology(Part):
    """The whole document."""

    sipmesh: Literal[1] = Field(description="version of this format")
    organisation: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="name of the organisation, as its certificates carry it"
    )
    sip_domains: tuple[Fqdn, ...] = Field(min_length=1, description="the domains of our users")
    authority: AuthorityEntry = Field(description="our enterprise CA")
    pools: tuple[Pool, ...] = Field(min_length=1, description="all our servers, pool by pool")
    federation: Federation = Field(default=Federation(), description="our partners")
    dns: Dns | None = Field(default=None, description="DNS servers to use; by default those of the machine")
    storage: Storage = Field(default=Storage(), description="where users and registrations are stored")

    @property
    def authorities(self) -> tuple[AuthorityEntry, ...]:
        """Our own authority, then the partners, in the order of the document."""
        return (self.authority, *self.federation.partners)

    def pool(self, name: str | None) -> Pool | None:
        """The pool of that name, if there is one."""
        return next((pool for pool in self.pools if pool.name == name), None)

    def pool_of(self, server: str) -> Pool | None:
        """The pool that *server* belongs to, if there is one."""
        return next((pool for pool in self.pools if any(s.name == server for s in pool.servers)), None)
