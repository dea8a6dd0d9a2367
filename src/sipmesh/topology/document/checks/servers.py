"""Servers: their ports, certificates and settings fit each other and the role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.listeners import WILDCARDS, has_clients, listeners, ports_of
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import BORDERS, ClientAuth, Role

if TYPE_CHECKING:
    from sipmesh.topology.document.checks.checked_document import CheckedDocument
    from sipmesh.topology.document.yaml_tree import Loc


def ports_do_not_clash(document: CheckedDocument) -> None:
    """No two listeners have the same address and port."""
    taken: dict[tuple[str, int], Loc] = {}
    for loc, pool, server in document.servers():
        mine: dict[int, list[str]] = {}
        for spec in listeners(document.topology, pool, server):
            place: Loc = (*loc, "ports", spec.key)
            host = spec.host
            if host in WILDCARDS:  # assume a machine of its own, unless the topology says which
                host = (server.address if spec.kind is not LinkKind.PARTNER else None) or server.name
            first = taken.setdefault((host, spec.port), place)
            among_mine = [other for other in mine.get(spec.port, []) if WILDCARDS & {other, spec.host}]
            if first != place or among_mine:
                whose = document.place(first) if first != place else "another port of this server"
                reason = f"port {spec.port} on {spec.host} is taken by {whose}"
                document.report.add(
                    place, reason, f"change the port of `{spec.key}`, or the `bind` address of the server"
                )
            mine.setdefault(spec.port, []).append(spec.host)


def settings_fit_the_role(document: CheckedDocument) -> None:
    """A setting without an effect for its role is reported: the operator expects an effect."""
    for loc, pool, server in document.servers():
        known = ports_of(pool)
        for name in sorted(server.ports.model_fields_set - known):
            remedy = f"remove it; ports here: {', '.join(sorted(known))}"
            document.report.add((*loc, "ports", name), f"a server of role {pool.role} has no {name} port", remedy)
        if server.ports.websocket and has_clients(pool) and document.topology.websocket is None:
            reason = "servers have no WebSocket port while the topology has no `websocket`"
            document.report.add((*loc, "ports", "websocket"), reason, "add `websocket: {}` to the topology")
        if server.outside and pool.role not in BORDERS:
            document.report.add(
                (*loc, "outside"), "only an edge or a gateway has `outside`", "remove it, or make this an edge pool"
            )
    for loc, pool in document.pools():
        if pool.remote_users and pool.role is not Role.EDGE:
            document.report.add((*loc, "remote_users"), "only an edge pool has `remote_users`", "remove it")
        if pool.internal_name and pool.role not in BORDERS:
            reason = "only an edge or a gateway pool has `internal_name`"
            document.report.add((*loc, "internal_name"), reason, "remove it")
        if pool.speaks_for and pool.role is not Role.APPLICATION:
            remedy = "remove it; front ends assert users of all our SIP domains, edges those of partners (rule R10)"
            document.report.add((*loc, "speaks_for"), f"a pool of role {pool.role} has no `speaks_for`", remedy)


def client_auth_fits_the_role(document: CheckedDocument) -> None:
    """Only servers with phones ask for certificates of devices, which a CA issues, and an edge asks for the password too."""
    for loc, pool, server in document.servers():
        if server.client_auth is not ClientAuth.PASSWORD and not has_clients(pool):
            reason = f"phones do not connect to a server of role {pool.role}"
            remedy = "remove it, or give it to a front end, or to an edge with `remote_users`"
            document.report.add((*loc, "client_auth"), reason, remedy)
        if server.client_auth is ClientAuth.EITHER and pool.role is Role.EDGE and pool.remote_users:
            reason = "an edge proves no user (rule R10): the home pool asks each remote user for the password"
            document.report.add((*loc, "client_auth"), reason, "write certificate, to ask for both, or password")
        if server.client_auth is not ClientAuth.PASSWORD and not document.topology.authority.devices:
            reason = "no CA issues certificates for devices: `authority.devices` is empty"
            document.report.add((*loc, "client_auth"), reason, "first: sipmesh ca devices")


def workers_fit_the_role(document: CheckedDocument) -> None:
    """Only front ends, edges and gateways share their ports among processes."""
    for loc, pool, server in document.servers():
        if server.workers != 1 and pool.role not in {Role.FRONT_END, *BORDERS}:
            reason = f"a server of role {pool.role} is one process"
            document.report.add((*loc, "workers"), reason, "remove it; front ends and edges may have workers")


def certificates_come_with_keys(document: CheckedDocument) -> None:
    """Certificate and key are both set or both missing: a default key does not match another certificate."""
    for loc, _, server in document.servers():
        for here, side in ((loc, server), ((*loc, "outside"), server.outside)):
            if side and bool(side.certificate) != bool(side.key):
                given, lacking = ("certificate", "key") if side.certificate else ("key", "certificate")
                document.report.add((*here, given), f"needs `{lacking}` also", f"name both files: add `{lacking}`")


def certificates_for_partners_have_one(document: CheckedDocument) -> None:
    """Each certificate for a single partner names a partner, and each partner has one at most."""
    for loc, _, server in document.servers():
        seen: dict[str, str] = {}
        for number, one in enumerate(server.partner_certificates):
            here = (*loc, "outside", "partners", number, "partner")
            partner = next(
                (one_of.name for one_of in document.topology.federation.partners if one.partner in one_of.domains), ""
            )
            if not partner:
                document.report.add(
                    here, f"no partner has the domain {one.partner!r}", "write a domain of a partner, or add it"
                )
            elif partner in seen:
                document.report.add(here, f"{seen[partner]} is the same partner", "leave one of the two")
            seen[partner] = one.partner
