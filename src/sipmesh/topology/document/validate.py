"""Checks of how the parts of a topology agree with each other, beyond the shape of each part.

Each check reports all its problems, and all checks run. A name in a part that could not be read (`Unread`) is not reported as
missing, because that part has its own problem.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.topology.document.listeners import WILDCARDS, has_clients, listeners, ports_of
from sipmesh.topology.document.names import is_url
from sipmesh.topology.document.operators.sshsig import PublicKey, UnusableKeyError
from sipmesh.topology.document.report import did_you_mean
from sipmesh.topology.document.storage.shared import what_is_not_shared
from sipmesh.topology.document.storage.valkey_url import valkey_url
from sipmesh.topology.document.yaml_tree import dotted
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.revocation.revocation_source import RevocationSource
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.topology.document.model import Approvals, AuthorityEntry, Pool, Server, Topology
    from sipmesh.topology.document.parse import Unread
    from sipmesh.topology.document.report import ProblemReport
    from sipmesh.topology.document.yaml_tree import Loc


@dataclass(frozen=True, slots=True)
class _Document:
    """A topology during its checks."""

    topology: Topology
    report: ProblemReport
    unread: Unread

    def place(self, loc: Loc) -> str:
        """Write another place for the operator."""
        entry = self.report.root.at(loc)
        return f"{dotted(entry.path)} on line {entry.line}"

    def written(self, loc: Loc) -> Loc:
        """Give the place of a key in the part at *loc*, in the document as written, even if the key is missing."""
        return (*self.report.root.at(loc[:-1]).path, loc[-1])

    def pools(self) -> Iterator[tuple[Loc, Pool]]:
        """Give all pools with their places."""
        for n, pool in enumerate(self.topology.pools):
            yield ("pools", n), pool

    def servers(self) -> Iterator[tuple[Loc, Pool, Server]]:
        """Give all servers with their places and pools."""
        for loc, pool in self.pools():
            for n, server in enumerate(pool.servers):
                yield (*loc, "servers", n), pool, server


def validate(topology: Topology, report: ProblemReport, unread: Unread) -> None:
    """Run all checks. They report their problems to *report*."""
    document = _Document(topology, report, unread)
    for check in CHECKS:
        check(document)


def own_names_are_unique(document: _Document) -> None:
    """Each pool and server has a different name. Only the single server of a pool may have the pool's name."""
    owner: dict[str, tuple[Loc, Loc]] = {}  # name -> (place, place of the pool)
    for loc, pool in document.pools():
        named: list[tuple[str, Loc]] = [(pool.name, (*loc, "name"))]
        named += [(pool.internal_name, (*loc, "internal_name"))] if pool.internal_name else []
        named += [(server.name, (*loc, "servers", n, "name")) for n, server in enumerate(pool.servers)]
        for name, place in named:
            first, home = owner.setdefault(name, (place, loc))
            servers_of_that_name = sum(server.name == name for server in pool.servers)
            shared = home == loc and len(pool.servers) <= 1 and servers_of_that_name <= 1
            if first != place and not shared:
                reason = f"{name!r} is already the name of {document.place(first)}"
                document.report.add(place, reason, "give each server and pool a different name")


def domains_name_no_server(document: _Document) -> None:
    """A SIP domain is in many certificates, so it cannot be the name of one server."""
    domains = set(document.topology.sip_domains)
    for loc, _, server in document.servers():
        if server.name in domains:
            reason = f"{server.name!r} is a SIP domain, which is in the certificate of every front end"
            document.report.add((*loc, "name"), reason, f"name the server, such as 'fe1.{server.name}'")


def lists_name_nothing_twice(document: _Document) -> None:
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
        for n, name in enumerate(names):
            if name in names[:n]:
                document.report.add((*loc, n), f"{name!r} is named twice in this list", "remove one of the two")


def _partner_names(document: _Document) -> Iterator[tuple[str, Loc, int]]:
    """Give all names that a partner may prove, with their places and the partner's index."""
    for n, partner in enumerate(document.topology.federation.partners):
        loc: Loc = ("federation", "partners", n)
        for m, domain in enumerate(partner.domains):
            yield domain, (*loc, "domains", m), n
        if partner.edge_address:
            yield partner.edge_address[0], (*loc, "edge"), n


def _our_names(document: _Document) -> dict[str, Loc]:
    """Give all names of our own with their places."""
    ours: dict[str, Loc] = {name: ("sip_domains", n) for n, name in enumerate(document.topology.sip_domains)}
    for loc, pool in document.pools():
        ours.setdefault(pool.name, (*loc, "name"))
        if pool.internal_name:
            ours.setdefault(pool.internal_name, (*loc, "internal_name"))
    for loc, _, server in document.servers():
        ours.setdefault(server.name, (*loc, "name"))
    return ours


def names_have_one_owner(document: _Document) -> None:
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


def nobody_is_allowed_and_blocked(document: _Document) -> None:
    """No name is blocked and allowed."""
    allowed = {name: loc for name, loc, _ in _partner_names(document)} | _our_names(document)
    for n, name in enumerate(document.topology.federation.blocked):
        if name in allowed:
            reason = f"{name!r} is also allowed ({document.place(allowed[name])})"
            remedy = f"keep one of the two; to move a partner here: sipmesh partner block {name}"
            document.report.add(("federation", "blocked", n), reason, remedy)


def ports_do_not_clash(document: _Document) -> None:
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


def settings_fit_the_role(document: _Document) -> None:
    """A setting without an effect for its role is reported: the operator expects an effect."""
    for loc, pool, server in document.servers():
        known = ports_of(pool)
        for name in sorted(server.ports.model_fields_set - known):
            remedy = f"remove it; ports here: {', '.join(sorted(known))}"
            document.report.add((*loc, "ports", name), f"a server of role {pool.role} has no {name} port", remedy)
        if server.ports.websocket and has_clients(pool) and document.topology.websocket is None:
            reason = "servers have no WebSocket port while the topology has no `websocket`"
            document.report.add((*loc, "ports", "websocket"), reason, "add `websocket: {}` to the topology")
        if server.client_certificates and not has_clients(pool):
            reason = f"phones do not connect to a server of role {pool.role}"
            remedy = "remove it, or give it to a front end, or to an edge with `remote_users`"
            document.report.add((*loc, "client_certificates"), reason, remedy)
        if server.outside and pool.role is not Role.EDGE:
            document.report.add((*loc, "outside"), "only an edge has `outside`", "remove it, or make this an edge pool")
    for loc, pool in document.pools():
        if pool.remote_users and pool.role is not Role.EDGE:
            document.report.add((*loc, "remote_users"), "only an edge pool has `remote_users`", "remove it")
        if pool.internal_name and pool.role is not Role.EDGE:
            document.report.add((*loc, "internal_name"), "only an edge pool has `internal_name`", "remove it")
        if pool.speaks_for and pool.role is not Role.APPLICATION:
            remedy = "remove it; front ends assert users of all our SIP domains, edges those of partners (rule R10)"
            document.report.add((*loc, "speaks_for"), f"a pool of role {pool.role} has no `speaks_for`", remedy)


def workers_fit_the_role(document: _Document) -> None:
    """Only front ends and edges share their ports among processes."""
    for loc, pool, server in document.servers():
        if server.workers != 1 and pool.role not in {Role.FRONT_END, Role.EDGE}:
            reason = f"a server of role {pool.role} is one process"
            document.report.add((*loc, "workers"), reason, "remove it; front ends and edges may have workers")


def certificates_come_with_keys(document: _Document) -> None:
    """Certificate and key are both set or both missing: a default key does not match another certificate."""
    for loc, _, server in document.servers():
        for here, side in ((loc, server), ((*loc, "outside"), server.outside)):
            if side and bool(side.certificate) != bool(side.key):
                given, lacking = ("certificate", "key") if side.certificate else ("key", "certificate")
                document.report.add((*here, given), f"needs `{lacking}` also", f"name both files: add `{lacking}`")


def next_hops_lead_somewhere(document: _Document) -> None:
    """The next hop of edges and applications is a front-end pool. There is no loop."""
    for loc, pool in document.pools():
        place: Loc = (*loc, "next_hop")
        if pool.next_hop is None:
            if pool.role in (Role.EDGE, Role.APPLICATION) and document.written(place) not in document.unread.places:
                remedy = f"add `next_hop`: {_front_ends(document)}"
                document.report.add(loc, f"an {pool.role} pool needs `next_hop`", remedy)
        elif circle := _circle(document.topology, pool):
            remedy = f"set it to a front-end pool: {_front_ends(document)}"
            document.report.add(place, f"is a loop: {' → '.join(circle)}", remedy)
        else:
            _next_hop_is_a_front_end(document, place, pool, pool.next_hop)


def _names_a_front_end(document: _Document, place: Loc, name: str) -> bool:
    """Report a *name* that is not a front-end pool; True if it is one."""
    target = document.topology.pool(name)
    front_ends = [p.name for p in document.topology.pools if p.role is Role.FRONT_END]
    if target is None:
        if name not in document.unread.texts:
            remedy = did_you_mean(name, front_ends, f"name a front-end pool: {_front_ends(document)}")
            document.report.add(place, f"{name!r} is not a pool of this topology", remedy)
    elif target.role is not Role.FRONT_END:
        remedy = f"name a front-end pool: {_front_ends(document)}"
        document.report.add(place, f"{name!r} is of role {target.role}, not front-end", remedy)
    return target is not None and target.role is Role.FRONT_END


def _next_hop_is_a_front_end(document: _Document, place: Loc, pool: Pool, name: str) -> None:
    if _names_a_front_end(document, place, name) and pool.role in (Role.FRONT_END, Role.MANAGEMENT):
        remedy = "remove it; front ends reach each other directly, and partners by `federation.route`"
        if pool.role is Role.MANAGEMENT:
            remedy = "remove it; a management server forwards no requests"
        document.report.add(place, f"a {pool.role} pool has no next hop", remedy)


def backup_pools_are_front_ends(document: _Document) -> None:
    """The backup pool of a front-end pool is another front-end pool. No other pool has one."""
    for loc, pool in document.pools():
        place: Loc = (*loc, "backup_pool")
        if pool.backup_pool is None:
            continue
        if pool.role is not Role.FRONT_END:
            remedy = "remove it; only users have a backup pool, and they are at home in front-end pools"
            document.report.add(place, f"a pool of role {pool.role} has no backup pool", remedy)
        elif pool.backup_pool == pool.name:
            document.report.add(place, "is the pool itself", f"name another front-end pool: {_front_ends(document)}")
        else:
            _names_a_front_end(document, place, pool.backup_pool)


def _circle(topology: Topology, start: Pool) -> list[str]:
    """Give the names on the way from *start* back to itself; empty if the way does not lead back."""
    way, pool = [start.name], topology.pool(start.next_hop)
    while pool and pool.name not in way:
        way.append(pool.name)
        pool = topology.pool(pool.next_hop)
    return [*way, start.name] if pool is start else []


def _front_ends(document: _Document) -> str:
    named = [pool.name for pool in document.topology.pools if pool.role is Role.FRONT_END]
    return ", ".join(named) or "there is no such pool yet; add a pool"


def management_is_one_pool(document: _Document) -> None:
    """There is one management pool. Several servers need a database that they share: it says which of them leads."""
    storage = document.topology.storage
    shared = is_postgresql(storage.management) and is_postgresql(storage.users)
    found = [(loc, pool) for loc, pool in document.pools() if pool.role is Role.MANAGEMENT]
    for loc, pool in found:
        if len(pool.servers) > 1 and not shared:
            remedy = "keep one, or name PostgreSQL databases in `storage.management` and `storage.users`"
            document.report.add((*loc, "servers"), "several management servers need a database that they share", remedy)
    for loc, pool in found[1:]:
        document.report.add(loc, f"{found[0][1].name} is management already", f"remove {pool.name}")


def console_has_a_management_server(document: _Document) -> None:
    """The management server serves the console; each operator has another name and another token."""
    console = document.topology.console
    if console is None:
        return
    if not any(pool.role is Role.MANAGEMENT for pool in document.topology.pools):
        remedy = "add a pool of role management, or remove `console`"
        document.report.add(("console",), "needs a management server, and there is none", remedy)
    for key in ("name", "token_sha256"):
        first: dict[str, int] = {}
        for n, operator in enumerate(console.operators):
            value = getattr(operator, key)
            if value is not None and first.setdefault(value, n) != n:
                reason = f"is that of {document.place(('console', 'operators', first[value]))} too"
                document.report.add(("console", "operators", n, key), reason, "give each operator a name and a token")


def approvals_can_be_given(document: _Document) -> None:
    """There are enough operators with different keys, and management that publishes."""
    rule = document.topology.approvals
    if rule is None:
        return
    if not any(pool.role is Role.MANAGEMENT for pool in document.topology.pools):
        remedy = "add a pool of role management, or remove `approvals`"
        document.report.add(("approvals",), "needs a management server, and there is none", remedy)
    for key, count in (("publish", rule.publish), ("block", rule.block or 0)):
        if count > len(rule.operators):
            reason = f"needs {count} operators, and there are {len(rule.operators)}"
            document.report.add(("approvals", key), reason, "add operators, or ask for fewer approvals")
    if rule.block is not None and rule.block > rule.publish:
        document.report.add(("approvals", "block"), "is more than `publish`", "a block must not need more approvals")
    _approvers_differ(document, rule)


def _approvers_differ(document: _Document, rule: Approvals) -> None:
    names: dict[str, int] = {}
    keys: dict[bytes, int] = {}
    for n, operator in enumerate(rule.operators):
        place: Loc = ("approvals", "operators", n)
        if names.setdefault(operator.name, n) != n:
            document.report.add((*place, "name"), "is the name of another operator", "give each operator a name")
        try:
            blob = PublicKey.read(operator.key).blob
        except UnusableKeyError as wrong:
            document.report.add((*place, "key"), str(wrong), "give the line of the operator's file id_ed25519.pub")
            continue
        if keys.setdefault(blob, n) != n:
            document.report.add((*place, "key"), "is the key of another operator", "each operator needs a key")


def management_database_is_public(document: _Document) -> None:
    """The document goes to each server: it names the database of management without a password."""
    url, loc = document.topology.storage.management, ("storage", "management")
    if url is None:
        return
    if not is_postgresql(url):
        document.report.add(loc, "is no PostgreSQL database", "write it as postgresql+psycopg://USER@HOST/DATABASE")
    elif _PASSWORD_IN_URL.search(url):
        remedy = "remove the password; `sipmesh management move` and `management join` keep it on the management hosts"
        document.report.add(loc, "contains a password, which each server would get", remedy)


def is_postgresql(url: str | None) -> bool:
    """Tell whether a database URL names a PostgreSQL server."""
    return url is not None and url.startswith("postgresql+psycopg://")


_PASSWORD_IN_URL = re.compile(r"^[^:]+://[^/@]*:[^/@]*@|[?&]password=")


def applications_speak_for_domains_of_ours(document: _Document) -> None:
    """An application may assert users of our SIP domains only."""
    ours = document.topology.sip_domains
    for loc, pool in document.pools():
        for n, domain in enumerate(pool.speaks_for):
            if domain not in ours and domain not in document.unread.texts:
                remedy = did_you_mean(domain, ours, f"name one of our SIP domains: {', '.join(ours)}")
                document.report.add((*loc, "speaks_for", n), f"{domain!r} is not a SIP domain of the topology", remedy)


def sites_are_listed(document: _Document) -> None:
    """The site of a pool or server is one of `sites`."""
    sites = document.topology.sites
    places = [(loc, pool.site) for loc, pool in document.pools()]
    places += [(loc, server.site) for loc, _, server in document.servers()]
    for loc, site in places:
        if site is not None and site not in sites and site not in document.unread.texts:
            remedy = did_you_mean(site, sites, f"to add the site: sipmesh topology add site {site}")
            document.report.add((*loc, "site"), f"{site!r} is not one of `sites`", remedy)


def media_policies_are_for_domains_of_ours(document: _Document) -> None:
    """A media policy of a domain is for one of our SIP domains. That of a partner is in its entry."""
    ours = document.topology.sip_domains
    for domain in document.topology.media.domains:
        if domain not in ours and domain not in document.unread.texts:
            remedy = did_you_mean(domain, ours, f"name one of our SIP domains: {', '.join(ours)}")
            document.report.add(("media", "domains", domain), f"{domain!r} is not a SIP domain of ours", remedy)


def federation_goes_through_an_edge(document: _Document) -> None:
    """Partners are reached through an edge pool."""
    federation, loc = document.topology.federation, ("federation", "route")
    edges = [pool.name for pool in document.topology.pools if pool.role is Role.EDGE]
    remedy = f"name an edge pool: {', '.join(edges) or 'there is none yet, add one'}"
    if federation.route is None:
        if federation.partners and loc not in document.unread.places:
            document.report.add(loc[:1], "has partners, but no `route`", remedy)
        return
    target = document.topology.pool(federation.route)
    if target is None and federation.route not in document.unread.texts:
        remedy = did_you_mean(federation.route, edges, remedy)
        document.report.add(loc, f"{federation.route!r} is not a pool of this topology", remedy)
    elif target and target.role is not Role.EDGE:
        document.report.add(loc, f"{federation.route!r} is a pool of role {target.role}, not edge", remedy)


def revocation_can_be_told(document: _Document) -> None:
    """Each authority has the sources that its policy requires: without a status all peers are refused (rule R12)."""
    topology = document.topology
    entries: list[tuple[Loc, AuthorityEntry]] = [(("authority",), topology.authority)]
    entries += [(("federation", "partners", n), one) for n, one in enumerate(topology.federation.partners)]
    for loc, entry in entries:
        if (
            not entry.crls
            and entry.revocation is not RevocationSource.ANSWERS
            and not _is_unread(document, (*loc, "crls"))
        ):
            described = type(entry).model_fields["crls"].description
            document.report.add((*loc, "crls"), "is empty", f"give at least one value: {described}")
        if (
            not entry.ocsp
            and entry.revocation is not RevocationSource.LISTS
            and not _is_unread(document, (*loc, "ocsp"))
        ):
            remedy = "add `ocsp` with the URLs of its responders, or write `revocation: lists`"
            document.report.add((*loc, "revocation"), f"is {str(entry.revocation)!r} without `ocsp`", remedy)
        if entry.ocsp and entry.revocation is RevocationSource.LISTS and not _is_unread(document, (*loc, "revocation")):
            remedy = "add `revocation: both`, or `revocation: ocsp` where there is no list; or remove this"
            document.report.add((*loc, "ocsp"), "OCSP is not used while `revocation` is 'lists'", remedy)


def pools_share_what_they_store(document: _Document) -> None:
    """The servers of a pool that runs on several machines share a store that all of them reach."""
    for loc, pool in document.pools():
        written = document.report.root.at(loc).path
        if pool.role is Role.FRONT_END and not any(
            place[: len(written)] == written for place in document.unread.places
        ):
            for problem in what_is_not_shared(document.topology, pool):
                document.report.add((*loc, "servers"), *problem)


def store_settings_fit(document: _Document) -> None:
    """A store over TLS has anchors, and its settings are for a store: who trusts no CA is refused by every certificate."""
    storage, loc = document.topology.storage, ("storage", "valkey")
    if _is_unread(document, ("storage", "bindings")) or _is_unread(document, loc):
        return
    if not is_url(storage.bindings):
        if storage.valkey.model_fields_set:
            remedy = "remove it, or write `bindings: valkeys://HOST:PORT`"
            document.report.add(loc, "has no effect while `bindings` is a file", remedy)
        return
    tls = valkey_url(storage.bindings).tls
    if tls and not storage.valkey.anchors:
        remedy = "name the PEM file of the CA that has issued the store's certificate: `valkey: {anchors: [ca.pem]}`"
        document.report.add(("storage", "bindings"), "needs `valkey.anchors` for TLS", remedy)
    if not tls and storage.valkey.anchors:
        document.report.add(
            (*loc, "anchors"), "has no effect without TLS", "write valkeys:// in `bindings`, or remove it"
        )
    if bool(storage.valkey.certificate) != bool(storage.valkey.key):
        given, lacking = ("certificate", "key") if storage.valkey.certificate else ("key", "certificate")
        document.report.add((*loc, given), f"needs `{lacking}` also", f"name both files: add `{lacking}`")


def _is_unread(document: _Document, loc: Loc) -> bool:
    """Tell whether a part in that place could not be read. Its problem is reported already."""
    written = document.written(loc)
    return any(place[: len(written)] == written for place in document.unread.places)


CHECKS = (
    own_names_are_unique,
    domains_name_no_server,
    lists_name_nothing_twice,
    names_have_one_owner,
    nobody_is_allowed_and_blocked,
    ports_do_not_clash,
    settings_fit_the_role,
    workers_fit_the_role,
    certificates_come_with_keys,
    next_hops_lead_somewhere,
    backup_pools_are_front_ends,
    management_is_one_pool,
    management_database_is_public,
    console_has_a_management_server,
    approvals_can_be_given,
    applications_speak_for_domains_of_ours,
    sites_are_listed,
    media_policies_are_for_domains_of_ours,
    federation_goes_through_an_edge,
    revocation_can_be_told,
    pools_share_what_they_store,
    store_settings_fit,
)
"""All checks, in the order of the rules."""
