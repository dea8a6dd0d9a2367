"""What stops when a certificate or a list ends, in words, and the command that helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.formatting import tell_list
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.topology.document.model import Pool, Topology

NEW_CA = "replace the CA in time: sipmesh ca root prepare"


def server_stops(topology: Topology, name: str, *, outside: bool, also_outside: bool) -> str:
    """What a server's certificate takes with it; *also_outside* is one that partners see as well as our servers."""
    pool = topology.pool_of(name)
    if pool is None:
        return "no effect: the topology does not name it"
    told = [f"{_refusers(pool.role, outside=outside, also_outside=also_outside)} refuse it"]
    mates = [server.name for server in pool.servers if server.name != name]
    if mates:
        told.append(f"{pool.name} continues with {tell_list(mates)}")
    else:
        told += lost(topology, pool, outside=outside, also_outside=also_outside)
    return "; ".join(told)


def signer_stops(topology: Topology, name: str) -> str:
    """What the certificate takes with it by which a management server signs; what it signed stays in force."""
    others = [one for one in managers(topology) if one != name]
    if others:
        return f"{name} cannot publish; {tell_list(others)} can"
    return "no version can be published; the published version stays in force"


def managers(topology: Topology) -> list[str]:
    """The management servers, which have signers."""
    return [server.name for pool in topology.pools if pool.role is Role.MANAGEMENT for server in pool.servers]


def _refusers(role: Role, *, outside: bool, also_outside: bool) -> str:
    if outside:
        return "partners"
    if role is Role.FRONT_END:
        return "phones and servers"
    return "our servers and partners" if role is Role.EDGE and also_outside else "our servers"


def lost(topology: Topology, pool: Pool, *, outside: bool, also_outside: bool) -> list[str]:
    """What goes with the only server of a pool."""
    partners = [one.name for one in topology.federation.partners] if topology.federation.route == pool.name else []
    behind = [one.name for one in topology.pools if one.next_hop == pool.name]
    told = []
    if pool.role is Role.FRONT_END:
        told.append(f"the users of {pool.name} cannot log in")
    if behind:
        told.append(f"{_count(behind, 'pool loses its next hop', 'pools lose their next hop')}: {tell_list(behind)}")
    if partners and (outside or also_outside):
        told.append(f"{_count(partners, 'partner is', 'partners are')} cut off: {tell_list(partners)}")
    elif partners:
        told.append("our users cannot reach partners")
    return told or [f"{pool.name} has no other server"]


def _count(names: Sequence[str], one: str, many: str) -> str:
    return f"{len(names)} {one if len(names) == 1 else many}"


def issuing_stops(servers: Sequence[str]) -> str:
    """What an issuing CA takes with it: the certificates of *servers*, as far as we know of them."""
    known = f": {tell_list(servers)}" if servers else ""
    return f"every certificate of this CA is refused, even before its own end{known}"


def root_stops(others: Sequence[str]) -> str:
    """What our root takes with it; *others* are the roots that go on."""
    if others:
        return f"phones and servers refuse all certificates under it; certificates under {tell_list(others)} stay valid"
    return "all servers refuse each other; phones and partners refuse all servers"


def partner_stops(partner: str, others: Sequence[str]) -> str:
    """What a partner's root takes with it."""
    if others:
        return f"our edges refuse certificates of {partner} under it; certificates under {tell_list(others)} stay valid"
    return f"our edges refuse {partner}: no messages and calls in either direction"


def list_stops(issuer: str, partner: str) -> str:
    """What a list takes with it once it does not count any more (RFC 5280 6.3.3, rule R12)."""
    if partner:
        return f"our edges refuse new links with {partner} under {issuer}"
    return f"every server refuses new links under {issuer}"


def list_command(partner: str) -> str:
    """What gives a new list."""
    return (
        f"fetch the newest revocation list of {partner} into the files under `crls` of its entry"
        if partner
        else "sipmesh ca crl"
    )


def server_command(name: str, file: str, *, outside: bool, elsewhere: bool = False) -> str:
    """What gives a server a new certificate; *elsewhere* is one whose key is on another machine, and which renews itself."""
    if elsewhere:
        return (
            f"check that {name} runs and has a link to management (sipmesh status); otherwise, on its machine: sipmesh "
            f"join request {name}"
        )
    return f"install a new certificate and its key in {file}" if outside else f"sipmesh ca issue {name}"


def partner_command(partner: str) -> str:
    """What gives a partner a new root."""
    return f"add the new root of {partner} to `anchors` of its entry, beside the old root"
