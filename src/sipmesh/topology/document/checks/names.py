"""Names: each has one owner, and is in each list once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.parts.acme import ACME
from sipmesh.topology.document.report import did_you_mean
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.topology.document.checks.checked_document import CheckedDocument
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.document.parts.server import Server
    from sipmesh.topology.document.yaml_tree import Loc


def own_names_are_unique(document: CheckedDocument) -> None:
    """Each pool and server has a different name. Only the single server of a pool may have the pool's name."""
    owner: dict[str, tuple[Loc, Loc]] = {}  # name -> (place, place of the pool)
    for loc, pool in document.pools():
        named: list[tuple[str, Loc]] = [(pool.name, (*loc, "name"))]
        named += [(pool.internal_name, (*loc, "internal_name"))] if pool.internal_name else []
        named += [(server.name, (*loc, "servers", n, "name")) for n, server in enumerate(pool.servers)]
        for name, place in named:
            first, home = owner.setdefault(name, (place, loc))
            shared = home == loc and len(pool.servers) <= 1
            if first != place and not shared:
                reason = f"{name!r} is already the name of {document.place(first)}"
                document.report.add(place, reason, "give each server and pool a different name")


def domains_name_no_server(document: CheckedDocument) -> None:
    """A SIP domain is in many certificates, so it cannot be the name of one server."""
    domains = set(document.topology.sip_domains)
    for loc, _, server in document.servers():
        if server.name in domains:
            reason = f"{server.name!r} is a SIP domain, which is in the certificate of every front end"
            document.report.add((*loc, "name"), reason, f"name the server, such as 'fe1.{server.name}'")


def own_files_are_of_one_server(document: CheckedDocument) -> None:
    """No name or key leads to files that follow from the name of another server: issuing would replace what they hold."""
    held = {file: server for _, pool, server in document.servers() for file in _further_files(pool, server)}
    for loc, _, server in document.servers():
        for file in (server.certificate_file, server.key_file):
            if file in held:
                reason = f"{file} would be the file of {server.name!r}, and is one of {held[file].name!r} already"
                document.report.add((*loc, "name"), reason, "give the server another name, or other files")


def _further_files(pool: Pool, server: Server) -> tuple[str, ...]:
    """Give the files of *server* that follow from its name, beside its own certificate and key."""
    found = (server.signer_certificate_file, server.signer_key_file) if pool.role is Role.MANAGEMENT else ()
    if server.client_certificates != ACME:
        return found
    return (*found, *(file for pair in server.files_for_clients for file in (pair.certificate, pair.key)))


def lists_name_nothing_twice(document: CheckedDocument) -> None:
    """No name is twice in a list."""
    topology, federation = document.topology, ("federation",)
    lists: list[tuple[Loc, tuple[str, ...]]] = [(("sip_domains",), topology.sip_domains), (("sites",), topology.sites)]
    lists += [((*loc, "speaks_for"), pool.speaks_for) for loc, pool in document.pools()]
    lists += [
        ((*federation, "partners", n, "domains"), partner.domains)
        for n, partner in enumerate(topology.federation.partners)
    ]
    lists.append(((*federation, "blocked"), topology.federation.blocked))
    for loc, names in lists:
        seen: set[str] = set()
        for n, name in enumerate(names):
            if name in seen:
                document.report.add((*loc, n), f"{name!r} is named twice in this list", "remove one of the two")
            seen.add(name)


def _partner_names(document: CheckedDocument) -> Iterator[tuple[str, Loc, int]]:
    """Give all names that a partner may prove, with their places and the partner's index."""
    for n, partner in enumerate(document.topology.federation.partners):
        loc: Loc = ("federation", "partners", n)
        for m, domain in enumerate(partner.domains):
            yield domain, (*loc, "domains", m), n
        if partner.edge_address:
            yield partner.edge_address[0], (*loc, "edge"), n


def _our_names(document: CheckedDocument) -> dict[str, Loc]:
    """Give all names of our own with their places."""
    ours: dict[str, Loc] = {name: ("sip_domains", n) for n, name in enumerate(document.topology.sip_domains)}
    for loc, pool in document.pools():
        ours.setdefault(pool.name, (*loc, "name"))
        if pool.internal_name:
            ours.setdefault(pool.internal_name, (*loc, "internal_name"))
    for loc, _, server in document.servers():
        ours.setdefault(server.name, (*loc, "name"))
    return ours


def names_have_one_owner(document: CheckedDocument) -> None:
    """No name belongs to two partners, or to a partner and us: it would not identify either (rule R8, R12)."""
    ours = _our_names(document)
    theirs: dict[str, tuple[Loc, int]] = {}
    for name, loc, n in _partner_names(document):
        first, owner = theirs.setdefault(name, (loc, n))
        if name in ours:
            reason = f"{name!r} is a name of our own ({document.place(ours[name])})"
            document.report.add(loc, reason, "a partner may have its own names only: remove one of the two entries")
        elif owner != n:
            reason = f"{name!r} is a name of another partner already ({document.place(first)})"
            document.report.add(loc, reason, "keep it in the entry of the partner that owns it")


def nobody_is_allowed_and_blocked(document: CheckedDocument) -> None:
    """No name is blocked and allowed."""
    allowed = {name: loc for name, loc, _ in _partner_names(document)} | _our_names(document)
    for n, name in enumerate(document.topology.federation.blocked):
        if name in allowed:
            reason = f"{name!r} is also allowed ({document.place(allowed[name])})"
            remedy = f"keep one of the two, by sipmesh partner unblock {name} or sipmesh partner block {name}"
            document.report.add(("federation", "blocked", n), reason, remedy)


def sites_are_listed(document: CheckedDocument) -> None:
    """The site of a pool or server is one of `sites`."""
    sites = document.topology.sites
    places = [(loc, pool.site) for loc, pool in document.pools()]
    places += [(loc, server.site) for loc, _, server in document.servers()]
    for loc, site in places:
        if site is not None and site not in sites and site not in document.unread.texts:
            remedy = did_you_mean(site, sites, f"to add the site: sipmesh topology add site {site}")
            document.report.add((*loc, "site"), f"{site!r} is not one of `sites`", remedy)
