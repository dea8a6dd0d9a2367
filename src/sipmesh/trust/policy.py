"""The policy of one link: which peers are allowed, under which names and which authority.

The topology builds it, and the judge reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from sipmesh.trust.role import ClientAuth
from sipmesh.trust.topology_version import NO_EDITION, TopologyVersion

if TYPE_CHECKING:
    from sipmesh.trust.authority import Authority
    from sipmesh.trust.evidence import LinkKind
    from sipmesh.trust.trusted_peer import TrustedPeer
    from sipmesh.trust.trusted_peers import TrustedPeers


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """Everything that the judge must know about one kind of link on one of our servers.

    *here* is our server. *peers* has all entries of the topology, servers and partners. So the judge can tell a wrong role from
    an unknown name, and a wrong issuer from an unknown issuer. *may_open* are the entries that may be the peer of *this*
    link, by ``TrustedPeer.name``, for opened and accepted links. If it is empty, no peer is allowed.

    *meant* and *meant_name* are for links that we open: the expected entry, and the reference name. That name is from the
    configuration or the SIP URI, never from DNS (rule R9).

    *client_auth* says how clients prove their users on an accepted client link. *devices* is the authority of their
    certificates, and *domains* are the SIP domains of users.

    *challenged* is the trunk that may open the link without a certificate, from one of its *networks*: it logs in by digest.

    *edition* is the version of the topology from which the policy was made, and the newest version known.
    """

    kind: LinkKind
    here: str
    may_open: frozenset[str]
    peers: TrustedPeers
    blocked: frozenset[str] = frozenset()
    meant: TrustedPeer | None = None
    meant_name: str = ""
    client_auth: ClientAuth = ClientAuth.PASSWORD
    devices: Authority | None = None
    domains: frozenset[str] = frozenset()
    challenged: TrustedPeer | None = None
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    grace: timedelta = timedelta(0)  # how long an expired CRL is accepted; the authority may say longer
    edition: TopologyVersion = field(default=NO_EDITION, compare=False)

    @property
    def authorities(self) -> tuple[Authority, ...]:
        """All authorities without duplicates, that of the expected peer first."""
        meant = self.meant.authority if self.meant is not None else None
        first = () if meant is None else (meant,)
        return (*first, *(authority for authority in self.peers.authorities if authority is not meant))

    def __repr__(self) -> str:
        meant = f" meaning {self.meant_name}" if self.meant_name else ""
        return f"<LinkPolicy {self.kind} at {self.here}{meant}, {len(self.may_open)} may be at the other end>"
