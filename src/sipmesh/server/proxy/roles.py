"""What the role of a server makes of the topology: the facts that its routing decides by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.routing.identity.border import Border
from sipmesh.routing.identity.dialog import Behind, Inside
from sipmesh.routing.identity.realm import Realms
from sipmesh.routing.identity.route_set import Names
from sipmesh.routing.identity.sender import named_side
from sipmesh.routing.roles import edge, front_end, management
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.routing.identity.dialog import Peers
    from sipmesh.routing.identity.route_set import RouteSet
    from sipmesh.routing.identity.sender import Sender
    from sipmesh.routing.outcome import Outcome
    from sipmesh.server.proxy.dispatch import Decide
    from sipmesh.sip.message import Request
    from sipmesh.topology.view import PartnerView, PoolView, ServerView


def names_of(view: ServerView) -> Names:
    """What this server is called: the names in its certificate, and the addresses it listens on."""
    addresses = frozenset((listener.host, listener.port) for listener in view.listeners)
    return Names(frozenset(view.names), addresses, frozenset(view.pool_mates), named_side(view.pool.name))


def border_of(view: ServerView) -> Border:
    """Which header fields cross the borders of this server, and who owns which realm."""
    partners = frozenset(domain for partner in view.partners for domain in partner.domains)
    return Border(Realms(view.sip_domains, partners), partners)


def decide_for(view: ServerView, incarnation: int) -> Decide:
    """The decisions of this server's role, or `OperatorError` for a role that we do not run."""
    if view.role is Role.FRONT_END:
        facts = front_end_facts(view, incarnation)
        return lambda request, place, sender: front_end.decide(request, place, sender, facts)
    if view.role is Role.EDGE:
        return _edge(view, incarnation)
    if view.role is Role.MANAGEMENT:
        names = names_of(view)
        return lambda request, place, sender: management.decide(request, place, sender, names)
    raise OperatorError(f"{view.name} is an {view.role}: sipmesh does not run applications, which are other programs")


def _edge(view: ServerView, incarnation: int) -> Decide:
    facts = edge_facts(view, incarnation)

    def decide(request: Request, place: RouteSet, sender: Sender) -> Outcome:
        return edge.decide(request, place, sender, facts)

    return decide


def front_end_facts(view: ServerView, incarnation: int) -> front_end.FrontEndFacts:
    """The topology as a front end routes by it."""
    return front_end.FrontEndFacts(
        names=names_of(view),
        domains=view.sip_domains,
        pool=view.pool.name,
        entrances=frozenset(p.next_hop for p in view.pools.values() if p.role is Role.EDGE and p.next_hop),
        applications=applications(view),
        route=view.servers_of(view.federation_route or ""),
        partner_domains=frozenset(domain for partner in view.partners for domain in partner.domains),
        blocked=view.blocked,
        inside=inside_of(view),
        incarnation=incarnation,
    )


def edge_facts(view: ServerView, incarnation: int) -> edge.EdgeFacts:
    """The topology as an edge routes by it."""
    return edge.EdgeFacts(
        names=names_of(view),
        domains=view.sip_domains,
        next_hop=view.servers_of(view.next_hop or ""),
        partners={domain: partner.meant_name(domain) for partner in view.partners for domain in partner.domains},
        blocked=view.blocked,
        inside=inside_of(view),
        incarnation=incarnation,
    )


def applications(view: ServerView) -> dict[str, tuple[str, ...]]:
    """The application servers behind us, under their own names and those of their pools."""
    found: dict[str, tuple[str, ...]] = {}
    for pool in view.pools.values():
        if pool.role is Role.APPLICATION and pool.next_hop == view.pool.name:
            found[pool.name] = pool.servers
            found |= {server: (server,) for server in pool.servers if server != pool.name}
    return found


def inside_of(view: ServerView) -> Inside:
    """The network as requests inside dialogs are checked by it."""
    pools = [hosts_of(view, pool) for pool in view.pools.values()]
    partners = [partner.domains | set(reference_names(partner)) for partner in view.partners]
    return Inside(peers_of(view), frozenset().union(*pools, *partners), view.blocked)


def peers_of(view: ServerView) -> Peers:
    """What stands behind each side that a dialog token may name."""
    inside = {named_side(pool.name): behind_pool(view, pool) for pool in view.pools.values()}
    if view.role is not Role.EDGE:
        return inside
    return inside | {named_side(p.peer.name): behind_partner(p) for p in view.partners}


def behind_pool(view: ServerView, pool: PoolView) -> Behind:
    """A pool of ours: all servers of it but ourselves."""
    asserts = frozenset().union(*(view.trusted[server].asserts for server in pool.servers))
    return Behind(others(pool.servers, view.name), LinkKind.SERVER, asserts, targets_behind(view, pool))


def targets_behind(view: ServerView, pool: PoolView) -> frozenset[str]:
    """The host names that a remote target behind a pool may have: an application's own, and behind edges the partners'."""
    if pool.role is Role.APPLICATION:
        return hosts_of(view, pool)
    if pool.role is Role.EDGE:
        return frozenset().union(*(partner.domains | set(reference_names(partner)) for partner in view.partners))
    return frozenset()


def behind_partner(partner: PartnerView) -> Behind:
    """Another organisation, behind its edge or the servers of its domains."""
    names = reference_names(partner)
    return Behind(names, LinkKind.PARTNER, partner.domains, partner.domains | set(names))


def hosts_of(view: ServerView, pool: PoolView) -> frozenset[str]:
    """Every name of a pool and of its servers, on either side of an edge; the SIP domains are nobody's own."""
    return frozenset({pool.name, *pool.servers}).union(*(view.trusted[server].names for server in pool.servers)) - (
        view.sip_domains
    )


def reference_names(partner: PartnerView) -> tuple[str, ...]:
    """The names by which a partner may be reached: its edge as configured, else each of its domains (rule R9)."""
    return tuple(dict.fromkeys(partner.meant_name(domain) for domain in sorted(partner.domains)))


def others(servers: tuple[str, ...], here: str) -> tuple[str, ...]:
    """The servers of a pool but ourselves."""
    return tuple(server for server in servers if server != here)
