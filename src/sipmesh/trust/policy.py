"""The policy of one link: who may be at its other end, under which names and which authority.

The topology builds it, the judge reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sipmesh.trust.topology_version import NO_EDITION, TopologyVersion

if TYPE_CHECKING:
    from sipmesh.trust.authority import Authority
    from sipmesh.trust.evidence import LinkKind
    from sipmesh.trust.trusted_peer import TrustedPeer
    from sipmesh.trust.trusted_peers import TrustedPeers


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """Everything that the judge must know about one kind of link at one of our servers.

    *peers* holds every entry of the topology, servers and partners: only so can the judge tell a wrong role from an unknown
    name, and a wrong issuer from an unknown one. *may_open* names those that may be at the other end of *this* link, by
    ``TrustedPeer.name``, for opened links as for accepted ones. An empty *may_open* allows nobody.

    *meant* and *meant_name* are for links that we open: the entry that we mean to reach, and the reference name as
    configured or taken from the SIP URI, never one that DNS returned (rule R9).

    *edition* is the version of the topology that the policy is made of, and the newest version that is known.
    """

    kind: LinkKind
    here: str
    may_open: frozenset[str]
    peers: TrustedPeers
    blocked: frozenset[str] = frozenset()
    meant: TrustedPeer | None = None
    meant_name: str = ""
    grace: timedelta = timedelta(0)  # how long CRLs count past their next update, unless the authority says longer
    edition: TopologyVersion = field(default=NO_EDITION, compare=False)

    @property
    def authorities(self) -> tuple[Authority, ...]:
        """Every authority once, that of the meant peer first."""
        meant = self.meant.authority if self.meant is not None else None
        first = () if meant is None else (meant,)
        return (*first, *(authority for authority in self.peers.authorities if authority is not meant))

    def __repr__(self) -> str:
        meant = f" meaning {self.meant_name}" if self.meant_name else ""
        return f"<LinkPolicy {self.kind} at {self.here}{meant}, {len(self.may_open)} may be at the other end>"
