"""What a device has to know: the account, the servers, the media policy, and whom to trust."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.topology.document.listeners import has_clients, listeners, remote_listeners
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.topology.home_pools import home_by_default, servers_with_certificates
from sipmesh.topology.view import has_web_phone, invitation_hosts
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography import x509

    from sipmesh.pki.issued import IssuedToPerson
    from sipmesh.storage.users.invitations import Taken
    from sipmesh.topology.document.listeners import ListenerSpec
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.pool import Pool

CODECS: Final = (("opus", 48_000, 2), ("PCMA", 8_000, 1), ("PCMU", 8_000, 1))
"""Name, clock rate and channels (RFC 7587, RFC 3551): opus, and the two that each telephone has."""

EXPIRES_S: Final = 600
"""Seconds for which a device registers."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a device connects: *servers* are host and port of TLS ports, *web_phones* the addresses of the web phone."""

    servers: Sequence[tuple[str, int]]
    web_phones: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """One device of the user *aor*, which logs in with the digest user name *login*.

    With *issued*, it logs in by a certificate, and has no password. *roots* are the certificates of our enterprise CA. With
    *has_public*, servers have certificates of other CAs too, which clients know. *pages* is the host
    of the contacts, with a port as in a URL, "" without one; *has_files*: it takes files too.
    """

    aor: str
    login: str
    password: str = field(repr=False)
    device: str
    organisation: str
    reach: Reach
    media: MediaPolicy
    roots: Sequence[x509.Certificate]
    has_public: bool = False
    issued: IssuedToPerson | None = None
    pages: str = ""
    has_files: bool = False

    @property
    def address(self) -> str:
        """The address of the user without its scheme."""
        return self.aor.removeprefix("sip:")

    @property
    def user(self) -> str:
        """The user part of the address."""
        return self.address.partition("@")[0]

    @property
    def domain(self) -> str:
        """The SIP domain, which is the realm of the digest too."""
        return self.address.partition("@")[2]

    @property
    def must_encrypt(self) -> bool:
        """Whether a call without encrypted media is refused."""
        return self.media is not MediaPolicy.ANY


def profile_of(loaded: Loaded, taken: Taken, pool: str | None, *, remote: bool) -> Profile:
    """Return the profile of a device that has *taken* an invitation; *pool* is the home pool, None for the default.

    Raises `OperatorError` as `reach_of` does.
    """
    topology, aor = loaded.topology, taken.device.aor
    domain, home = aor.rpartition("@")[2], pool or home_by_default(topology)
    return Profile(
        aor,
        taken.login,
        taken.password,
        taken.device.name,
        topology.organisation,
        reach_of(topology, home, remote=remote) if taken.issued is None else _with_certificates(topology, home),
        topology.media.domains.get(domain, topology.media.default),
        tuple(loaded.authority.anchors),
        any(server.client_certificates for one in topology.pools if has_clients(one) for server in one.servers),
        taken.issued,
        next(iter(invitation_hosts(topology).values()), ""),
        topology.files is not None,
    )


def _with_certificates(topology: Topology, home: str) -> Reach:
    """Return the servers of the pool *home* at which a certificate proves the user; raises `OperatorError` if there is none."""
    known, names = reach_of(topology, home, remote=False), servers_with_certificates(topology, home)
    servers = tuple(one for one in known.servers if one[0] in names)
    if not servers:
        raise OperatorError(f"no front end of {home} takes certificates of devices any more")
    return Reach(servers)


def reach_of(topology: Topology, home: str, *, remote: bool) -> Reach:
    """Return where the devices of users of the pool *home* connect; *remote* devices connect to an edge.

    Raises `OperatorError` if there is no server for them.
    """
    pools = [pool for pool in topology.pools if (pool.remote_users if remote else pool.name == home)]
    found = [spec for pool in pools for spec in _client_ports(topology, pool, remote=remote)]
    servers = dict.fromkeys((spec.name, spec.port) for spec in found if not spec.is_websocket)
    if not servers:
        what = "no edge for remote users" if remote else f"no front end in the pool {home!r}"
        raise OperatorError(f"the topology has {what}: a device could not connect")
    pages = [spec for pool in pools if has_web_phone(topology, pool) for spec in found if spec.is_websocket]
    return Reach(tuple(servers), tuple(dict.fromkeys(f"https://{spec.name}:{spec.port}" for spec in pages)))


def _client_ports(topology: Topology, pool: Pool, *, remote: bool) -> Iterable[ListenerSpec]:
    for server in pool.servers:
        specs = remote_listeners(topology, pool, server) if remote else listeners(topology, pool, server)
        yield from (spec for spec in specs if spec.kind is LinkKind.CLIENT)
