"""Whether DNS has the records by which phones, partners and servers find each other."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from sipmesh.cli.doctor.check import bad, good, skipped
from sipmesh.topology.builder.dns_findings import State as RecordState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipmesh.cli.doctor.check import Check
    from sipmesh.topology.builder.dns_findings import DnsFinding
    from sipmesh.topology.document.model import Topology

DNS: Final = "dns"


def needs_no_dns(topology: Topology) -> bool:
    """Tell whether all servers are on loopback: no other host can reach them, by any name."""
    servers = topology.servers
    return all(server.address and ip_address(server.address).is_loopback for server in servers)


def dns_checks(findings: Sequence[DnsFinding], asked: Sequence[str]) -> Iterator[Check]:
    """Sum up what DNS has; *asked* are the name servers."""
    wrong = [finding for finding in findings if finding.state is not RecordState.GOOD]
    silent = [finding for finding in wrong if finding.state is RecordState.UNANSWERED]
    if not wrong:
        yield good(DNS, f"DNS has all {len(findings)} records that the network needs")
    elif len(silent) == len(findings):
        remedy = "start it, name another one in `dns` of the topology, or correct /etc/resolv.conf"
        yield bad(DNS, f"no name server answers ({', '.join(asked)})", remedy)
    else:
        first = f"{wrong[0].name}. {wrong[0].type} is {wrong[0].state}"
        told = f"{len(wrong)} of {len(findings)} DNS records are not right: {first}"
        yield bad(
            DNS,
            told,
            "add the records: sipmesh topology dns --format bind; each difference: sipmesh topology dns check",
        )


def loopback_check() -> Check:
    """These servers are not looked up in DNS."""
    return skipped(DNS, "all servers are on loopback: only this machine reaches them, and no DNS record is needed")
