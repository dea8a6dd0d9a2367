"""Text that says what fails when a certificate or a CRL expires, and the command that prevents it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.formatting import tell_list
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.pool import Pool

NEW_CA = "replace the CA in time: sipmesh ca root prepare"


def server_stops(topology: Topology, name: str, *, outside: bool, also_outside: bool) -> str:
    """Say what fails without a server's certificate. *also_outside*: partners see this certificate too."""
    pool = topology.pool_of(name)
    if pool is None:
        return "no effect: the topology does not name it"
    effects = [f"{_refusers(pool.role, outside=outside, also_outside=also_outside)} refuse it"]
    mates = [server.name for server in pool.servers if server.name != name]
    if mates:
        effects.append(f"{pool.name} continues with {tell_list(mates)}")
    else:
        effects += lost(topology, pool, outside=outside, also_outside=also_outside)
    return "; ".join(effects)


def signer_stops(topology: Topology, name: str) -> str:
    """Say what fails without the document signer of a management server. Signed documents stay in force."""
    others = [manager for manager in managers(topology) if manager != name]
    if others:
        return f"{name} cannot publish; {tell_list(others)} can"
    return "no version can be published; the published version stays in force"


def managers(topology: Topology) -> list[str]:
    """Give the management servers. Each has a document signer."""
    return [server.name for pool in topology.pools if pool.role is Role.MANAGEMENT for server in pool.servers]


def _refusers(role: Role, *, outside: bool, also_outside: bool) -> str:
    if outside:
        return "partners"
    if role is Role.FRONT_END:
        return "phones and servers"
    return "our servers and partners" if role in BORDERS and also_outside else "our servers"


def lost(topology: Topology, pool: Pool, *, outside: bool, also_outside: bool) -> list[str]:
    """Say what fails without the only server of a pool."""
    partners = [entry.name for entry in topology.federation.partners] if topology.federation.route == pool.name else []
    behind = [entry.name for entry in topology.pools if entry.next_hop == pool.name]
    effects = []
    if pool.role is Role.FRONT_END:
        effects.append(f"the users of {pool.name} cannot log in")
    if pool.remote_users:
        effects.append("remote users cannot log in")
    if behind:
        effects.append(f"{_count(behind, 'pool loses its next hop', 'pools lose their next hop')}: {tell_list(behind)}")
    if partners and (outside or also_outside):
        effects.append(f"{_count(partners, 'partner is', 'partners are')} cut off: {tell_list(partners)}")
    elif partners:
        effects.append("our users cannot reach partners")
    return effects or [f"{pool.name} has no other server"]


def _count(names: Sequence[str], singular: str, plural: str) -> str:
    return f"{len(names)} {singular if len(names) == 1 else plural}"


def issuing_stops(servers: Sequence[str]) -> str:
    """Say what fails without an issuing CA: the certificates of *servers*, as far as they are known."""
    known = f": {tell_list(servers)}" if servers else ""
    return f"every certificate of this CA is refused, even before its own end{known}"


def root_stops(others: Sequence[str]) -> str:
    """Say what fails without our root. *others* are the roots that stay valid."""
    if others:
        return f"phones and servers refuse all certificates under it; certificates under {tell_list(others)} stay valid"
    return "all servers refuse each other; phones and partners refuse all servers"


def partner_stops(partner: str, others: Sequence[str]) -> str:
    """Say what fails without a partner's root. *others* are its roots that stay valid."""
    if others:
        return f"our edges refuse certificates of {partner} under it; certificates under {tell_list(others)} stay valid"
    return f"our edges refuse {partner}: no messages and calls in either direction"


def list_stops(issuer: str, partner: str) -> str:
    """Say what fails without a valid CRL (RFC 5280 6.3.3, rule R12)."""
    if partner:
        return f"our edges refuse new links with {partner} under {issuer}"
    return f"every server refuses new links under {issuer}"


def list_command(partner: str) -> str:
    """Give the command or action for a new CRL."""
    return (
        f"fetch the newest CRL of {partner} into the files under `crls` of its entry" if partner else "sipmesh ca crl"
    )


def server_command(name: str, file: str, *, outside: bool, elsewhere: bool = False) -> str:
    """Give the command for a new server certificate. *elsewhere*: the server has its key, and renews it itself."""
    if elsewhere:
        return (
            f"check that {name} runs and has a link to management (sipmesh status); otherwise, on its machine: sipmesh "
            f"join request {name}"
        )
    return f"install a new certificate and its key in {file}" if outside else f"sipmesh ca issue {name}"


def partner_command(partner: str) -> str:
    """Give the action for a new root of a partner."""
    return f"add the new root of {partner} to `anchors` of its entry, beside the old root"
