"""Certificates of a public CA by ACME: the account, the challenge and the servers fit each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.acme_orders import challenge_host, names_at_public_ca
from sipmesh.topology.document.listeners import WILDCARDS, has_clients, listeners
from sipmesh.topology.document.parts.acme import ACME, AcmeChallenge
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.topology.document.checks.checked_document import CheckedDocument
    from sipmesh.topology.document.parts.acme import Acme
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.document.parts.server import Server
    from sipmesh.topology.document.yaml_tree import Loc


def acme_can_be_asked(document: CheckedDocument) -> None:
    """The directory has TLS, and the keys are those of the challenge."""
    acme, report = document.topology.acme, document.report
    if acme is None:
        return
    if not acme.directory.startswith("https:"):
        report.add(("acme", "directory"), "is no https URL", "write https://HOST/PATH, as the CA documents it")
    if (acme.dns is None) == (acme.challenge is AcmeChallenge.DNS_01):
        reason = "dns-01 needs the server that takes the records" if acme.dns is None else "is for dns-01 alone"
        remedy = "add `dns` with `server`, `zone` and `key_file`" if acme.dns is None else "remove it, or set dns-01"
        report.add(("acme", "challenge" if acme.dns is None else "dns"), reason, remedy)
    if acme.challenge is AcmeChallenge.DNS_01:
        for key in ("port", "bind"):
            if getattr(acme, key) is not None:
                report.add(("acme", key), "has no effect with dns-01", "remove it")


def certificates_can_be_ordered(document: CheckedDocument) -> None:
    """Each server with `client_certificates: acme` can prove its names."""
    for loc, pool, server in document.servers():
        if server.client_certificates != ACME:
            continue
        place, acme = (*loc, "client_certificates"), document.topology.acme
        if acme is None:
            remedy = "add `acme: {directory: https://...}` to the topology, or remove this key"
            document.report.add(place, "needs the public CA, and the topology has no `acme`", remedy)
        else:
            _can_prove(document, place, pool, server, acme)


def _can_prove(document: CheckedDocument, place: Loc, pool: Pool, server: Server, acme: Acme) -> None:
    report = document.report
    if acme.dns is not None:
        names = names_at_public_ca(document.topology, pool, server, acme)
        if out := [name for name in names if not f".{name}".endswith(f".{acme.dns.zone}")]:
            remedy = "set `zone` to a zone that holds all names, or use http-01"
            report.add(("acme", "dns", "zone"), f"does not hold {', '.join(out)}", remedy)
    elif pool.remote_users and len(pool.servers) > 1:
        reason = f"another edge may answer at {pool.name}, where the CA looks for the answer of this one"
        report.add(place, reason, "use `challenge: dns-01`")
    host = challenge_host(pool, server, acme)
    for spec in listeners(document.topology, pool, server):
        if spec.port == acme.challenge_port and (spec.host == host or WILDCARDS & {spec.host, host}):
            remedy = f"set another port for `{spec.key}`, or another challenge"
            report.add(place, f"{acme.challenge} needs port {spec.port}, where this server listens already", remedy)


def servers_have_clients(document: CheckedDocument) -> None:
    """Certificates for clients are for servers that clients connect to: phones, or browsers of the console."""
    for loc, pool, server in document.servers():
        console = document.topology.console if pool.role is Role.MANAGEMENT else None
        if server.client_certificates and not has_clients(pool) and console is None:
            reason = f"neither phones nor browsers connect to a server of role {pool.role}"
            remedy = "remove it, or give it to a front end, an edge with `remote_users`, or management with a `console`"
            document.report.add((*loc, "client_certificates"), reason, remedy)
