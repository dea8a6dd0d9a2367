"""Partners: the way to them, and the sources of revocation of each authority."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from sipmesh.topology.document.names import split_port
from sipmesh.topology.document.parts.federation import Partner
from sipmesh.topology.document.report import did_you_mean
from sipmesh.trust.dane.tlsa import DaneMode
from sipmesh.trust.revocation.revocation_source import RevocationSource
from sipmesh.trust.role import Role
from sipmesh.trust.transparency.ct_log import NEEDED, CtMode

if TYPE_CHECKING:
    from sipmesh.topology.document.checks.checked_document import CheckedDocument
    from sipmesh.topology.document.parts.authority import AuthorityEntry
    from sipmesh.topology.document.parts.services import Dns
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
    """TLSA records count only if DNSSEC proves them: by a trust anchor, or a resolver on the same machine (RFC 4035 4.9.3)."""
    for n, partner in enumerate(document.topology.federation.partners):
        place = ("federation", "partners", n, "dane")
        if partner.dane is DaneMode.OFF:
            continue
        if partner.edge_address is None:
            document.report.add(place, "needs `edge`: TLSA records are of a host and a port", "add its edge")
        if problem := _lack_of_proof(document.topology.dns, partner.edge_address[0] if partner.edge_address else ""):
            document.report.add(place, *problem)


def _lack_of_proof(dns: Dns | None, edge: str) -> tuple[str, str] | None:
    """Say what is missing for a proof of the TLSA records of an *edge*, with the remedy; None if nothing is."""
    servers, anchors = (dns.servers, dns.trust_anchors) if dns is not None else ((), ())
    zones = ["." + anchor.split(" ", 1)[0].strip(".").lower() for anchor in anchors]
    if anchors and edge and not any(f".{edge}".endswith(zone.rstrip(".")) for zone in zones):
        return f"no trust anchor is above {edge}", "add the DS record of the root to `dns.trust_anchors`"
    is_here = bool(servers) and all(ip_address(split_port(server)[0].strip("[]")).is_loopback for server in servers)
    if is_here or anchors:
        return None
    remedy = (
        "name `dns.trust_anchors`, or run a validating resolver on each edge, and name it: dns: {servers: [127.0.0.1]}"
    )
    return "needs `dns` with servers on the loopback address alone, or with trust anchors", remedy


def partners_have_anchors(document: CheckedDocument) -> None:
    """A partner is trusted by anchors of its own, except where TLSA records count in their place."""
    for n, partner in enumerate(document.topology.federation.partners):
        loc: Loc = ("federation", "partners", n)
        if partner.anchors or partner.dane is DaneMode.ONLY or document.is_unread((*loc, "anchors")):
            continue
        described = Partner.model_fields["anchors"].description
        document.report.add((*loc, "anchors"), _lack(partner, "anchors"), f"give at least one value: {described}")


def _lack(entry: AuthorityEntry, key: str) -> str:
    return "is empty" if key in entry.model_fields_set else f"`{key}` is missing"


def revocation_can_be_told(document: CheckedDocument) -> None:
    """Each authority has the sources that its policy requires: without a status all peers are refused (rule R12)."""
    topology = document.topology
    entries: list[tuple[Loc, AuthorityEntry]] = [(("authority",), topology.authority)]
    entries += [(("federation", "partners", n), one) for n, one in enumerate(topology.federation.partners)]
    for loc, entry in entries:
        if isinstance(entry, Partner) and entry.dane is DaneMode.ONLY and not entry.anchors:
            continue  # with usage 3 there is no CA; a path below another CA is refused without a CRL
        if (
            not (entry.crls or entry.crl_hosts)
            and entry.revocation is not RevocationSource.ANSWERS
            and not document.is_unread((*loc, "crls"))
        ):
            described = type(entry).model_fields["crls"].description
            document.report.add((*loc, "crls"), _lack(entry, "crls"), f"give at least one value: {described}")
        if not entry.ocsp and entry.revocation is not RevocationSource.LISTS and not document.is_unread((*loc, "ocsp")):
            remedy = "add `ocsp` with the URLs of its responders, or write `revocation: lists`"
            document.report.add((*loc, "revocation"), f"is {str(entry.revocation)!r} without `ocsp`", remedy)
        if entry.ocsp and entry.revocation is RevocationSource.LISTS and not document.is_unread((*loc, "revocation")):
            remedy = "add `revocation: both`, or `revocation: ocsp` where there is no CRL; or remove this"
            document.report.add((*loc, "ocsp"), "OCSP is not used while `revocation` is 'lists'", remedy)
