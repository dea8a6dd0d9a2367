"""The parts of a topology document, with their keys and defaults.

These classes check the *shape*: keys, types and well-formed names. `validate` checks whether the parts agree with each other.
Only `document.load` returns a topology that passed both. All parts are immutable.
"""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from sipmesh.topology.document.identity_policy import IdentityPolicy
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.topology.document.names import (
    Address,
    AddressAndPort,
    FileName,
    FileOrUrl,
    Fqdn,
    FqdnAndPort,
    Hours,
    HttpUrl,
    Label,
    ListenOn,
    Mebibytes,
    Port,
    TurnUri,
    WebOrigin,
    split_port,
)
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.document.operators.openid import OpenId
from sipmesh.topology.document.storage.valkey_url import FileOrStore
from sipmesh.topology.document.watching import Watching
from sipmesh.trust.revocation.revocation_source import RevocationSource
from sipmesh.trust.role import ClientUsage, Role

CLIENT_PORT = 5061  # sips default, RFC 3261 19.1.2
REMOTE_CLIENT_PORT = 443  # most networks of others let it pass
WEBSOCKET_PORT = 8443
SERVER_PORT = 5062
MOST_CLIENT_CERTIFICATES = 16
MOST_OPERATORS = 100
MOST_APPROVERS = 50
MOST_WORKERS = 64
TAKEOVER_AFTER_S = 60  # a restart of a process or of a small machine is over by then, and is no takeover
PARTNER_PORT = 5061

OperatorName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")]
SshKey = Annotated[
    str,
    StringConstraints(max_length=1000, pattern=r"^(ssh-ed25519|sk-ssh-ed25519@openssh\.com) [A-Za-z0-9+/]+=*( .*)?$"),
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """One mapping of the document. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Ports(Part):
    """The ports of one server. A missing port has the default of its role."""

    client: Port | None = Field(
        default=None,
        description="phones log in on this port over TLS (front ends, default 5061; edges with remote_users, default 443)",
    )
    websocket: Port | None = Field(
        default=None,
        description="browsers connect to this port by secure WebSocket (front ends, edges with remote_users; default 8443)",
    )
    server: Port | None = Field(default=None, description="our own servers connect to this port (default 5062)")
    partner: Port | None = Field(
        default=None, description="partners connect to this port (outside of an edge; default 5061)"
    )


class Outside(Part):
    """The side of an edge that partners connect to."""

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


class CertificateFiles(Part):
    """A certificate chain and its private key, for phones and browsers."""

    certificate: FileName = Field(description="certificate chain, leaf first, of any CA")
    key: FileName = Field(description="private key of that certificate")


class Server(Part):
    """One server: a mapping, or only its name if the defaults are right."""

    name: Fqdn = Field(description="full name of the server, its identity in this network")
    site: Label | None = Field(default=None, description="the site where it stands; by default that of its pool")
    address: Address | None = Field(
        default=None, description="the address that our servers connect to; by default DNS is used"
    )
    bind: Address | None = Field(
        default=None, description="the address to listen on; by default `address`, else every address"
    )
    machine: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        default=None, description="name of the machine that it runs on, if `address` does not tell it"
    )
    ports: Ports = Field(default=Ports(), description="ports that differ from the defaults")
    outside: Outside | None = Field(default=None, description="the side of an edge that faces partners")
    certificate: FileName | None = Field(
        default=None, description="certificate chain, leaf first; by default servers/NAME.pem"
    )
    key: FileName | None = Field(default=None, description="private key; by default servers/NAME.key")
    client_certificates: tuple[CertificateFiles, ...] = Field(
        default=(),
        max_length=MOST_CLIENT_CERTIFICATES,
        description="more certificates for phones and browsers, such as those of a public CA: chosen by SNI and key type",
    )
    metrics: ListenOn | None = Field(
        default=None,
        description="address:port of its metrics (Prometheus over HTTP), or a port on loopback; by default none",
    )
    workers: Annotated[int, Field(ge=1, le=MOST_WORKERS)] | Literal["auto"] = Field(
        default=1,
        description="processes that share the ports of a front end or an edge; auto: one for each CPU core",
    )

    @property
    def certificate_file(self) -> str:
        """The file of the certificate chain, relative to the topology's folder."""
        return self.certificate or f"servers/{self.name}.pem"

    @property
    def key_file(self) -> str:
        """The file of the private key, relative to the topology's folder."""
        return self.key or f"servers/{self.name}.key"

    @property
    def signer_certificate_file(self) -> str:
        """The file of the certificate chain with which a management server signs publications."""
        return f"servers/{self.name}.signer.pem"

    @property
    def signer_key_file(self) -> str:
        """The file of the private key of that certificate."""
        return f"servers/{self.name}.signer.key"

    @property
    def server_port(self) -> int:
        """The port on which this server accepts links from our other servers."""
        return self.ports.server or SERVER_PORT

    @property
    def runs_on(self) -> str:
        """The machine of this server: declared, or else its address. All loopback addresses are one machine.

        A server with neither has a machine of its own: servers that listen on every address rarely share one.
        """
        if self.machine is not None:
            return self.machine
        host = self.address or self.bind
        if host is None or ip_address(host).is_unspecified:
            return self.name
        return "loopback" if ip_address(host).is_loopback else host


def _in_full(given: object) -> object:
    """Give the mapping for a server that is written as its name only."""
    return {"name": given} if isinstance(given, str) else given


AnyServer = Annotated[Server, BeforeValidator(_in_full, json_schema_input_type=str | Server)]


class Pool(Part):
    """One or more servers with a common name and role."""

    name: Fqdn = Field(description="full name of the pool; the only server of a pool may have the same name")
    role: Role = Field(description="the role of its servers")
    site: Label | None = Field(default=None, description="the site where its servers stand, one of `sites`")
    servers: tuple[AnyServer, ...] = Field(min_length=1, description="the servers of the pool")
    internal_name: Fqdn | None = Field(default=None, description="the name of an edge pool on its inside")
    next_hop: Fqdn | None = Field(
        default=None, description="the front-end pool to which an edge or application sends requests"
    )
    remote_users: bool = Field(
        default=False,
        description="an edge pool has a client port on its outside, and carries users who log in there to their home pool",
    )
    speaks_for: tuple[Fqdn, ...] = Field(
        default=(), description="SIP domains of ours whose users an application may assert"
    )
    backup_pool: Fqdn | None = Field(
        default=None,
        description="the front-end pool that serves the users of this front-end pool while none of its servers answers",
    )
    takeover_after: Annotated[int, Field(ge=2, le=86_400)] = Field(
        default=TAKEOVER_AFTER_S,
        description="seconds for which no server may have answered before the backup pool serves the users",
    )


class AuthorityEntry(Part):
    """A certificate authority: its trusted roots, and the sources of its revocation status."""

    grace_by_default: ClassVar[timedelta] = timedelta(0)
    """For our own authority: its CRLs are renewed by our own CA."""

    list_limit_by_default: ClassVar[int] = 64
    """In MiB; enough for a million entries, as an old Windows CA may have."""

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
        """The maximum octets of one of its CRLs."""
        return (self.list_limit_by_default if self.list_limit is None else self.list_limit) << 20

    @property
    def grace_time(self) -> timedelta:
        """How long a CRL or an OCSP response is accepted after its next update."""
        return self.grace_by_default if self.grace is None else timedelta(hours=self.grace)


class Partner(AuthorityEntry):
    """Another organisation. It is trusted for its own domains and the name of its edge only."""

    grace_by_default: ClassVar[timedelta] = timedelta(days=1)
    """For a partner: an attacker who blocks a partner's CRLs for an hour must not cut off the partner."""

    list_limit_by_default: ClassVar[int] = 8
    """In MiB; enough for 150,000 entries. The CRLs of a partner use our memory and time."""

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
    media: MediaPolicy | None = Field(
        default=None,
        description="media of calls with this partner: any, encrypted, encrypted-required; by default as for our users",
    )
    identity: IdentityPolicy | None = Field(
        default=None,
        description="calls: sign ours; verify its signatures too; or required: refuse calls without one. By default none",
    )
    third_party: bool = Field(
        default=False,
        description="its CA issues for other organisations also, so that only the name identifies the partner",
    )

    @property
    def name(self) -> str:
        """The name of the partner in this program: its first domain."""
        return self.domains[0]

    @property
    def edge_address(self) -> tuple[str, int | None] | None:
        """Host and port of its edge; the port is None if it is not given; None without an edge."""
        return split_port(self.edge) if self.edge else None

    @property
    def identities(self) -> tuple[str, ...]:
        """All names of this partner: its domains and its edge."""
        return self.domains + ((self.edge_address[0],) if self.edge_address else ())


class Media(Part):
    """The media that calls of our users may have. `media: any` is short for `media: {default: any}`."""

    default: MediaPolicy = Field(
        default=MediaPolicy.REQUIRED,
        description="any, encrypted, or encrypted-required: session descriptions must have keys",
    )
    domains: dict[Fqdn, MediaPolicy] = Field(default={}, description="SIP domains of ours with another policy")


def _by_default(given: object) -> object:
    """Give the mapping for a media policy that is written as one word."""
    return {"default": given} if isinstance(given, str) else given


AnyMedia = Annotated[Media, BeforeValidator(_by_default, json_schema_input_type=MediaPolicy | Media)]


def _off(given: object) -> object:
    """Change false into "off": YAML 1.1 tools read the word *off* as false."""
    return "off" if given is False else given


Discovery = Annotated[Literal["off"], BeforeValidator(_off)]


class Federation(Part):
    """The organisations that may connect. If `partners` is empty, none may."""

    route: Fqdn | None = Field(default=None, description="the edge pool through which partners are reached")
    discovery: Discovery = Field(
        default="off", description="partners are listed under `partners`; there is no automatic discovery"
    )
    partners: tuple[Partner, ...] = Field(default=(), description="the organisations that may connect")
    blocked: tuple[Fqdn, ...] = Field(
        default=(), description="domains and edges that are refused, with any certificate"
    )


class WebSocket(Part):
    """SIP over secure WebSocket (RFC 7118), for phones in web pages. Front ends listen for it if this part exists."""

    origins: tuple[WebOrigin, ...] = Field(
        default=(), description="web origins whose pages may connect; by default https at each SIP domain"
    )
    phone: bool = Field(
        default=False, description="front ends serve the web phone at /phone of this port; by default they do not"
    )


class Dns(Part):
    """The DNS servers to use instead of those of the machine."""

    servers: tuple[AddressAndPort, ...] = Field(min_length=1, description="address or address:port of each DNS server")


class Valkey(Part):
    """How servers log in to the Valkey or Redis that `storage.bindings` names. The files are on each server."""

    user: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        default=None, description="ACL user; by default `default`"
    )
    password_file: FileName | None = Field(
        default=None,
        description="file with the password, mode 0600; by default the environment has it (SIPMESH_VALKEY_PASSWORD)",
    )
    anchors: tuple[FileName, ...] = Field(
        default=(), description="PEM files of the CA of its certificate, for valkeys://"
    )
    certificate: FileName | None = Field(default=None, description="certificate chain that servers present to it")
    key: FileName | None = Field(default=None, description="private key of that certificate")
    sentinel: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        default=None, description="name of the primary: the addresses in `bindings` are those of Sentinels then"
    )


class Storage(Part):
    """Where users and registrations are stored."""

    users: str = Field(default="sqlite:///users.db", min_length=1, description="database URL of the users")
    management: str | None = Field(
        default=None,
        min_length=1,
        description="database that the management servers share, without its password; by default files on one host",
    )
    bindings: FileOrStore = Field(
        default="state/bindings.db",
        description="the pool's registrations: a file on a disk of this machine, or a store that several machines share, "
        "valkeys://HOST:PORT (valkey:// on this machine)",
    )
    valkey: Valkey = Field(default=Valkey(), description="login and certificates for a store of registrations")
    messages: str = Field(
        default="sqlite:///state/messages.db",
        min_length=1,
        description="database URL of the messages for users who are not registered; the servers of a pool share it",
    )


class Messages(Part):
    """How many messages are stored for users who are not registered, and for how long."""

    per_user: int = Field(default=200, ge=0, le=10_000, description="messages stored for one user; 0 stores none")
    per_sender: int = Field(default=50, ge=1, le=10_000, description="of these, messages of one user or partner")
    lifetime_days: int = Field(default=7, ge=1, le=366, description="days after which a stored message is removed")


class Presence(Part):
    """Who may watch the presence of our users."""

    inside: Watching = Field(
        default=Watching.ALLOW, description="users of our own domains: allow, polite-block or block"
    )
    partners: Watching = Field(default=Watching.BLOCK, description="users of partners: allow, polite-block or block")


class Turn(Part):
    """Servers that relay the media of users behind a NAT. Users get credentials for them with an end."""

    servers: tuple[TurnUri, ...] = Field(
        min_length=1, max_length=8, description="turn:, turns:, stun: or stuns: with host, and ?transport=udp or tcp"
    )
    secret_file: FileName = Field(
        description="file on each front end with the secret of the TURN servers (static-auth-secret), mode 0600"
    )
    lifetime_s: int = Field(default=7200, ge=3660, le=86_400, description="seconds for which a password is valid")


class ConsoleOperator(Part):
    """An operator who logs in with a certificate, or a program that uses the HTTP API with a token."""

    name: OperatorName = Field(description="name of the operator, as the audit log shows it")
    role: ConsoleRole = Field(description="what the operator may do: viewer, operator or security-officer")
    token_sha256: Sha256 | None = Field(
        default=None, description="SHA-256 of the operator's token, in hex; `sipmesh console token` makes both"
    )


class Console(Part):
    """The web console and the HTTP API of the management server."""

    listen: ListenOn = Field(description="address:port to listen on by HTTPS, or a port on loopback")
    operators: tuple[ConsoleOperator, ...] = Field(
        default=(), max_length=MOST_OPERATORS, description="who may use the console and its HTTP API, and as what"
    )
    client_certificates: bool = Field(
        default=False,
        description="ask browsers and programs for a certificate of an operator (`sipmesh console certificate`)",
    )
    openid: OpenId | None = Field(
        default=None, description="OpenID provider by which operators log in; by default there is none"
    )


class ApprovingOperator(Part):
    """An operator whose signature counts as an approval."""

    name: OperatorName = Field(description="name of the operator")
    key: SshKey = Field(description="public key in the form of OpenSSH: ssh-ed25519, or of a FIDO token")


class Approvals(Part):
    """Servers load a new content only with the signatures of operators, beside the signature of management."""

    publish: int = Field(ge=1, le=MOST_APPROVERS, description="how many operators must approve a version")
    block: int | None = Field(
        default=None,
        ge=1,
        le=MOST_APPROVERS,
        description="how many for a version that only blocks; by default the same",
    )
    operators: tuple[ApprovingOperator, ...] = Field(
        min_length=1, max_length=MOST_APPROVERS, description="the operators whose approval counts"
    )


class Topology(Part):
    """The whole topology document."""

    sipmesh: Literal[1] = Field(description="version of this format")
    organisation: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="name of the organisation, as its certificates carry it"
    )
    sip_domains: tuple[Fqdn, ...] = Field(min_length=1, description="the domains of our users")
    sites: tuple[Label, ...] = Field(default=(), description="the places where servers stand, such as berlin")
    authority: AuthorityEntry = Field(description="our enterprise CA")
    pools: tuple[Pool, ...] = Field(min_length=1, description="all our servers, pool by pool")
    federation: Federation = Field(default=Federation(), description="our partners")
    media: AnyMedia = Field(default=Media(), description="media of our users' calls; by default encrypted-required")
    websocket: WebSocket | None = Field(
        default=None, description="phones in web pages; without it, front ends have no WebSocket port"
    )
    dns: Dns | None = Field(default=None, description="DNS servers to use; by default those of the machine")
    dane: bool = Field(
        default=False,
        description="TLSA records of our ports belong to our DNS records, for peers that check DANE; our servers use none",
    )
    storage: Storage = Field(default=Storage(), description="where users and registrations are stored")
    presence: Presence = Field(default=Presence(), description="who may watch the presence of our users")
    messages: Messages = Field(default=Messages(), description="messages stored for users who are not registered")
    turn: Turn | None = Field(default=None, description="relays for media; by default users get no credentials for any")
    approvals: Approvals | None = Field(
        default=None, description="operators who must approve each version; by default management alone publishes"
    )
    console: Console | None = Field(
        default=None, description="web console and HTTP API of the management server; by default there are none"
    )

    @property
    def authorities(self) -> tuple[AuthorityEntry, ...]:
        """Our own authority, then the partners, in the order of the document."""
        return (self.authority, *self.federation.partners)

    @property
    def site_of_each(self) -> dict[str, str]:
        """The site of each server: its own, or else that of its pool; "" without one."""
        return {server.name: server.site or pool.site or "" for pool in self.pools for server in pool.servers}

    def pool(self, name: str | None) -> Pool | None:
        """Give the pool with that name, or None."""
        return next((pool for pool in self.pools if pool.name == name), None)

    def pool_of(self, server: str) -> Pool | None:
        """Give the pool of *server*, or None."""
        return next((pool for pool in self.pools if any(s.name == server for s in pool.servers)), None)
