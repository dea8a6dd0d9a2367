"""The DNS records that a topology needs: SRV, NAPTR, TLSA and CAA for its SIP domains, and the addresses of its servers.

RFC 3263 for phones, `_sipfederationtls._tcp` for partners. DNS decides where a connection goes, and never who is there (rule R9).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sipmesh.topology.builder.tlsa import tlsa_name
from sipmesh.topology.document.listeners import listeners
from sipmesh.topology.home_pools import home_by_default
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipmesh.topology.builder.tlsa import TlsaData
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.document.parts.server import Server

NO_TLSA: Final[TlsaData] = MappingProxyType({})
PHONE_SERVICE: Final = "_sips._tcp"
PARTNER_SERVICE: Final = "_sipfederationtls._tcp"
TTL_S: Final = 3600


class Purpose(StrEnum):
    """The clients that ask for a record."""

    PHONES = "phones"
    PARTNERS = "partners"
    SERVERS = "servers"
    CAS = "cas"


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record that must exist. *name* has no final dot; *data* is in the text form of zone files.

    An empty *data* means that the topology has no address for the name: any address record will do.
    """

    name: str
    type: str
    data: str
    purpose: Purpose

    def __str__(self) -> str:
        return f"{self.name}. {self.type} {self.data or '(an address that the topology does not have)'}"


def dns_records(topology: Topology, tlsa: TlsaData = NO_TLSA) -> Sequence[DnsRecord]:
    """Give the records of a topology, those of each name together, in the order of the document.

    *tlsa* has the data of TLSA records by host and port of SRV records.
    """
    found = dict.fromkeys(_records(topology))
    found |= dict.fromkeys(_tlsa(tuple(found), tlsa))
    found |= dict.fromkeys(_caa(topology))
    names = dict.fromkeys(record.name for record in found)
    return [record for name in names for record in found if record.name == name]


def partner_records(topology: Topology) -> Sequence[DnsRecord]:
    """Give the records of partners that our edges need, with any data: an edge without an address, or SRV without an edge."""
    found = []
    for partner in topology.federation.partners:
        if partner.address is None and partner.edge_address is not None:
            found.append(DnsRecord(partner.edge_address[0], "A", "", Purpose.SERVERS))
        elif partner.address is None:
            found += [DnsRecord(f"{PARTNER_SERVICE}.{name}", "SRV", "", Purpose.SERVERS) for name in partner.domains]
    return found


def _records(topology: Topology) -> Iterator[DnsRecord]:
    front_ends = [pool for pool in topology.pools if pool.role is Role.FRONT_END]
    route = topology.pool(topology.federation.route)
    for domain in topology.sip_domains:
        if front_ends:
            data = f'10 50 "s" "SIPS+D2T" "" {PHONE_SERVICE}.{domain}.'
            yield DnsRecord(domain, "NAPTR", data, Purpose.PHONES)
        for pool in front_ends:
            yield from _phones_to(topology, domain, pool)
        if route is not None:
            yield from _partners_to(topology, domain, route)
    for pool in topology.pools:
        for server in pool.servers:
            purpose = Purpose.PHONES if pool.role is Role.FRONT_END else Purpose.SERVERS
            yield _address(server.name, server.address, purpose)
    for server in route.servers if route is not None else ():
        outside = server.outside.address if server.outside else None
        yield _address(route.name if route else "", outside or server.address, Purpose.PARTNERS)


def _caa(topology: Topology) -> Iterator[DnsRecord]:
    """Give the CAA records of our SIP domains, and of each pool and server below none of them (RFC 8659 3): no wildcards."""
    domains = topology.sip_domains
    hosts = (name for pool in topology.pools for name in (pool.name, *(server.name for server in pool.servers)))
    others = (host for host in hosts if not any(host == name or host.endswith(f".{name}") for name in domains))
    for name in dict.fromkeys((*domains, *others)) if topology.caa else ():
        for entry in topology.caa:
            yield DnsRecord(name, "CAA", entry.data, Purpose.CAS)
        yield DnsRecord(name, "CAA", '0 issuewild ";"', Purpose.CAS)


def _tlsa(records: Sequence[DnsRecord], tlsa: TlsaData) -> Iterator[DnsRecord]:
    """Give the TLSA records of each host and port that the SRV *records* name."""
    for record in records:
        if (target := _target(record)) is not None:
            for data in tlsa.get(target, ()):
                yield DnsRecord(tlsa_name(*target), "TLSA", data, record.purpose)


def tlsa_names(records: Sequence[DnsRecord]) -> Sequence[DnsRecord]:
    """Give the TLSA records of each host and port that the SRV *records* name, with any data."""
    found = ((target, record.purpose) for record in records if (target := _target(record)) is not None)
    return list(dict.fromkeys(DnsRecord(tlsa_name(*target), "TLSA", "", purpose) for target, purpose in found))


def _target(record: DnsRecord) -> tuple[str, int] | None:
    """Give the host and the port of an SRV record with data, None for any other record."""
    if record.type != "SRV" or not record.data:
        return None
    _, _, port, host = record.data.removesuffix(".").split()
    return host, int(port)


def _phones_to(topology: Topology, domain: str, pool: Pool) -> Iterator[DnsRecord]:
    """Give the SRV records of the front ends of a pool, with their priority (RFC 2782)."""
    for server in pool.servers:
        data = f"{_priority(topology, server)} 1 {_port(topology, pool, server, 'client')} {server.name}."
        yield DnsRecord(f"{PHONE_SERVICE}.{domain}", "SRV", data, Purpose.PHONES)


def _priority(topology: Topology, server: Server) -> int:
    """Give the priority of a front end: first the default home pool and its backup pool; in each, those at its own site."""
    ranks = {
        one.name: (_rank(topology, known), one.site not in {None, known.site})
        for known in topology.pools
        if known.role is Role.FRONT_END
        for one in known.servers
    }
    return 1 + sorted(set(ranks.values())).index(ranks[server.name])


def _rank(topology: Topology, pool: Pool) -> int:
    """Give 0 for the default home pool, 1 for its backup pool, and 2 for any other."""
    default = topology.pool(home_by_default(topology))
    if default is None or pool.name == default.name:
        return 0
    return 1 if pool.name == default.backup_pool else 2


def _partners_to(topology: Topology, domain: str, route: Pool) -> Iterator[DnsRecord]:
    """Give the SRV records of the edge: partners know it by the name of its pool."""
    for port in dict.fromkeys(_port(topology, route, server, "partner") for server in route.servers):
        yield DnsRecord(f"{PARTNER_SERVICE}.{domain}", "SRV", f"1 1 {port} {route.name}.", Purpose.PARTNERS)


def _port(topology: Topology, pool: Pool, server: Server, key: str) -> int:
    return next((spec.port for spec in listeners(topology, pool, server) if spec.key == key), 0)


def _address(name: str, address: str | None, purpose: Purpose) -> DnsRecord:
    if not address:
        return DnsRecord(name, "A", "", purpose)
    return DnsRecord(name, "A" if ipaddress.ip_address(address).version == 4 else "AAAA", address, purpose)  # noqa: PLR2004


def zone_of(name: str, topology: Topology) -> str:
    """Give the zone for a record: the longest SIP domain that *name* is below, else the host name without its first label."""
    labels = [label for label in name.split(".") if not label.startswith("_")]
    above = [".".join(labels[n:]) for n in range(len(labels))]
    return next((zone for zone in above if zone in topology.sip_domains), above[min(1, len(above) - 1)])
