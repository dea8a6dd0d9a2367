"""Partners: the way to them, and the sources of revocation of each authority."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from sipmesh.topology.document.names import split_port
from sipmesh.topology.document.report import did_you_mean
from sipmesh.trust.dane.tlsa import DaneMode
from sipmesh.trust.revocation.revocation_source import RevocationSource
from sipmesh.trust.role import Role
from sipmesh.trust.transparency.ct_log import NEEDED, CtMode

if TYPE_CHECKING:
    from sipmesh.topology.document.checks.checked_document import CheckedDocument
    from sipmesh.topology.document.parts.authority import AuthorityEntry
    from sipmesh.topology.document.yaml_tree import Loc


def federation_goes_through_an_edge(document: CheckedDocument) -> None:
    """Partners are reached through an edge pool."""
    federation, loc = document.topology.federation, ("federation", "route")
    edges = [pool.name for pool in document.topology.pools if pool.role is Role.EDGE]
    remedy = f"name an edge pool: {', '.join(edges) or 'there is none yet, add one'}"
    if federation.route is None:
        if federation.organisations and loc not in document.unread.places:
            document.report.add(loc[:1], "has partners, but no `route`", remedy)
        return
    target = document.topology.pool(federation.route)
    if target is None and federation.route not in document.unread.texts:
        remedy = did_you_mean(federation.route, edges, remedy)
        document.report.add(loc, f"{federation.route!r} is not a pool of this topology", remedy)
    elif target and target.role is not Role.EDGE:
        document.report.add(loc, f"{federation.route!r} is a pool of role {target.role}, not edge", remedy)


def certificates_can_be_logged(document: CheckedDocument) -> None:
    """A partner whose certificates must be logged needs logs of two operators in the topology (rule R12)."""
    federation = document.topology.federation
    operators = {entry.operator for entry in federation.ct_logs}
    for n, partner in enumerate(federation.partners):
        if partner.ct is not CtMode.OFF and len(operators) < NEEDED:
            remedy = "get a log list, and add its logs: sipmesh partner logs FILE"
            place = ("federation", "partners", n, "ct")
            document.report.add(place, f"needs `federation.ct_logs` of {NEEDED} operators or more", remedy)


def dane_can_be_checked(document: CheckedDocument) -> None:
    """TLSA records count only if DNSSEC proves them: the resolver that says so must be on the same machine (RFC 4035 4.9.3)."""
    servers = document.topology.dns.servers if document.topology.dns is not None else ()
    is_here = bool(servers) and all(ip_address(split_port(server)[0].strip("[]")).is_loopback for server in servers)
    for n, partner in enumerate(document.topology.federation.partners):
        place = ("federation", "partners", n, "dane")
        if partner.dane is DaneMode.OFF:
            continue
        if partner.edge is None:
            document.report.add(place, "needs `edge`: TLSA records are of a host and a port", "add its edge")
        if not is_here:
            remedy = "run a validating resolver on each edge, and name it: dns: {servers: [127.0.0.1]}"
            document.report.add(place, "needs `dns` with servers on the loopback address alone", remedy)


def revocation_can_be_told(document: CheckedDocument) -> None:
    """Each authority has the sources that its policy requires: without a status all peers are refused (rule R12)."""
    topology = document.topology
    entries: list[tuple[Loc, AuthorityEntry]] = [(("authority",), topology.authority)]
    entries += [(("federation", "partners", n), one) for n, one in enumerate(topology.federation.partners)]
    for loc, entry in entries:
        if (
            not (entry.crls or entry.crl_hosts)
            and entry.revocation is not RevocationSource.ANSWERS
            and not document.is_unread((*loc, "crls"))
        ):
            described = type(entry).model_fields["crls"].description
            document.report.add((*loc, "crls"), "is empty", f"give at least one value: {described}")
        if not entry.ocsp and entry.revocation is not RevocationSource.LISTS and not document.is_unread((*loc, "ocsp")):
            remedy = "add `ocsp` with the URLs of its responders, or write `revocation: lists`"
            document.report.add((*loc, "revocation"), f"is {str(entry.revocation)!r} without `ocsp`", remedy)
        if entry.ocsp and entry.revocation is RevocationSource.LISTS and not document.is_unread((*loc, "revocation")):
            remedy = "add `revocation: both`, or `revocation: ocsp` where there is no CRL; or remove this"
            document.report.add((*loc, "ocsp"), "OCSP is not used while `revocation` is 'lists'", remedy)
