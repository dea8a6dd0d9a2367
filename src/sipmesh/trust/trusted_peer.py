"""One entry of the topology, with which the judge compares a certificate."""

from __future__ import annotations

from dataclasses import dataclass

from sipmesh.trust.authority import Authority
from sipmesh.trust.own_names import OwnNames
from sipmesh.trust.role import ClientUsage, Role


@dataclass(frozen=True, slots=True)
class TrustedPeer:
    """One entry of the topology: a server of ours (*role* is set) or a partner (*role* is None).

    All names are lower case.
    """

    name: str  # our server's FQDN; of a partner its edge or its first domain
    role: Role | None
    pool: str | None
    names: frozenset[str]  # all names that a certificate of this entry may contain
    identity: frozenset[str]  # a certificate must prove at least one: {FQDN}, or a partner's domains and edge
    asserts: frozenset[str]  # SIP domains whose users it may assert (rule R10)
    authority: Authority
    client_usage: ClientUsage = ClientUsage.STRICT
    is_trunk: bool = False  # its users are numbers, and a gateway has the links to it
    own: OwnNames | None = None  # of an application: what it may assert besides
    processes: int = 1  # each of them may open as many links as a server of one process

    @property
    def scope(self) -> frozenset[str]:
        """All names that are accepted in a certificate of this entry."""
        return self.names | self.identity

    def __repr__(self) -> str:
        return f"<TrustedPeer {self.name} {self.role or 'partner'} under {self.authority.name}>"
