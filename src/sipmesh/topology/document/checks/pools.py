"""Pools: where their next hops and backup pools lead, and for whom they speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.report import did_you_mean
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from sipmesh.topology.document.checks.checked_document import CheckedDocument
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.document.yaml_tree import Loc


def next_hops_lead_somewhere(document: CheckedDocument) -> None:
    """The next hop of edges, gateways and applications is a front-end pool. There is no loop."""
    for loc, pool in document.pools():
        place: Loc = (*loc, "next_hop")
        if pool.next_hop is None:
            if pool.role in {*BORDERS, Role.APPLICATION} and document.written(place) not in document.unread.places:
                remedy = f"add `next_hop`: {_front_ends(document)}"
                document.report.add(loc, f"an {pool.role} pool needs `next_hop`", remedy)
        elif circle := _circle(document.topology, pool):
            remedy = f"set it to a front-end pool: {_front_ends(document)}"
            document.report.add(place, f"is a loop: {' → '.join(circle)}", remedy)
        else:
            _next_hop_is_a_front_end(document, place, pool, pool.next_hop)


def _next_hop_is_a_front_end(document: CheckedDocument, place: Loc, pool: Pool, name: str) -> None:
    if _names_a_front_end(document, place, name) and pool.role in (Role.FRONT_END, Role.MANAGEMENT):
        remedy = "remove it; front ends reach each other directly, and partners by `federation.route`"
        if pool.role is Role.MANAGEMENT:
            remedy = "remove it; a management server forwards no requests"
        document.report.add(place, f"a {pool.role} pool has no next hop", remedy)


def _circle(topology: Topology, start: Pool) -> list[str]:
    """Give the names on the way from *start* back to itself; empty if the way does not lead back."""
    way, pool = [start.name], topology.pool(start.next_hop)
    while pool and pool.name not in way:
        way.append(pool.name)
        pool = topology.pool(pool.next_hop)
    return [*way, start.name] if pool is start else []


def backup_pools_are_front_ends(document: CheckedDocument) -> None:
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


def _names_a_front_end(document: CheckedDocument, place: Loc, name: str) -> bool:
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


def _front_ends(document: CheckedDocument) -> str:
    named = [pool.name for pool in document.topology.pools if pool.role is Role.FRONT_END]
    return ", ".join(named) or "there is no such pool yet; add a pool"


def media_policies_are_for_domains_of_ours(document: CheckedDocument) -> None:
    """A media policy of a domain is for one of our SIP domains. That of a partner is in its entry."""
    ours = document.topology.sip_domains
    for domain in document.topology.media.domains:
        if domain not in ours and domain not in document.unread.texts:
            remedy = did_you_mean(domain, ours, f"name one of our SIP domains: {', '.join(ours)}")
            document.report.add(("media", "domains", domain), f"{domain!r} is not a SIP domain of ours", remedy)
