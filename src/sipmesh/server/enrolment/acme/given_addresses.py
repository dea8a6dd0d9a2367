"""Where a challenge may lead this server: only to the addresses of that server in the topology.

Without an address in the topology, DNS is asked. What DNS says may lead neither to this machine, nor to another of our servers.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from sipmesh.routing.proxy.locate import DnsQuestion, RecordKind
from sipmesh.server.enrolment.problem import AcmeProblemError
from sipmesh.topology.reachable_addresses import ReachableAddresses
from sipmesh.transport.resolver import UnansweredError
from sipmesh.transport.sockets import is_of_this_machine

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sipmesh.server.enrolment.enrollable import Enrollable
    from sipmesh.transport.resolver import Resolver


@dataclass(frozen=True, slots=True)
class GivenAddresses:
    """The *addresses* of one name, as a resolver gives them: a challenge asks it for no other."""

    addresses: tuple[str, ...]

    async def ask(self, question: DnsQuestion) -> Sequence[str]:
        """Return the addresses of the type that is asked for."""
        wanted = 6 if question.kind is RecordKind.AAAA else 4
        return [address for address in self.addresses if ip_address(address).version == wanted]

    def reachable(self) -> ReachableAddresses:
        """Return these addresses as those to which a name may lead."""
        return ReachableAddresses(networks=tuple(map(ip_network, self.addresses)))


async def addresses_of(
    entry: Enrollable, resolver: Resolver, ours: Collection[IPv4Address | IPv6Address]
) -> GivenAddresses:
    """Return where *entry* is: as the topology says, or else as DNS says; raises `AcmeProblemError`.

    *ours* are the addresses that the topology gives to our servers. A private network is allowed: this is a server of ours.
    """
    if entry.addresses:
        return GivenAddresses(entry.addresses)
    found: list[str] = []
    for kind in (RecordKind.A, RecordKind.AAAA):
        try:
            found += map(str, await resolver.ask(DnsQuestion(entry.name, kind)))
        except UnansweredError as wrong:
            raise AcmeProblemError("dns", f"DNS gives no address of {entry.name}: {wrong}", 400) from None
    if not found:
        raise AcmeProblemError("dns", f"DNS has no address of {entry.name}; write `address:` into the topology", 400)
    reachable = ReachableAddresses(ours=frozenset(ours), hosts=frozenset({entry.name}))
    if refused := [why for address in found if (why := reachable.refused(entry.name, address, is_of_this_machine))]:
        remedy = "write the address of the server into the topology"
        raise AcmeProblemError("dns", f"DNS says that {entry.name} is {refused[0]}; {remedy}", 400)
    return GivenAddresses(tuple(found))
