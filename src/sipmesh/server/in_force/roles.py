"""What the role of a server takes from the topology: the facts by which its routing decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError, OperatorError
from sipmesh.routing.identity.border import Border
from sipmesh.routing.identity.dialog import Behind, Inside
from sipmesh.routing.identity.home_rule import HomeRule, no_delegate
from sipmesh.routing.identity.realm import Realms
from sipmesh.routing.identity.route_set import Names
from sipmesh.routing.identity.sender import named_side
from sipmesh.routing.media.rules import MediaRules
from sipmesh.routing.numbers.application_table import ApplicationRoute, ApplicationTable
from sipmesh.routing.numbers.site_plans import site_plans_of
from sipmesh.routing.registrar.gruu import pool_hash
from sipmesh.routing.roles import edge, front_end, gateway
from sipmesh.server.in_force.trunk_rules import emergency_gateways, trunk_names
from sipmesh.storage.messages import MessageLimits
from sipmesh.topology.document.media_policy import strictest
from sipmesh.transport.hop import Hop
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import BORDERS, Role

DAY_S: Final = 86_400.0
PARTNER_SERVICE: Final = "sipfederationtls"
"""The service by which DNS locates a partner without `edge:`; the verdict is on its SIP domain (rule R9)."""

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.routing.identity.alias import OwnerOf
    from sipmesh.routing.identity.dialog import Peers
    from sipmesh.routing.identity.dialog_token import Side
    from sipmesh.routing.registrar.gruu import Gruus
    from sipmesh.routing.roles.decide import Facts
    from sipmesh.topology.entries import PartnerView, PoolView
    from sipmesh.topology.view import ServerView


def names_of(view: ServerView) -> Names:
    """Return the names of this server: those in its certificate, and the addresses that it listens on."""
    addresses = frozenset((listener.host, listener.port) for listener in view.listeners)
    hosts = frozenset((*view.names, *view.hosts_at_trunks.values()))
    return Names(hosts, addresses, frozenset(view.pool_mates), named_side(view.pool.name))


def border_of(view: ServerView) -> Border:
    """Return which header fields may cross the borders of this server, and which domains own which realm."""
    partners = frozenset(domain for partner in view.partners for domain in partner.domains)
    return Border(Realms(view.sip_domains, partners), partners)


def media_rules(view: ServerView, owner_of: OwnerOf) -> MediaRules:
    """Return the media policies; *owner_of* finds the user of an alias.

    A partner without a policy of its own has the strictest of our domains.
    """
    most = strictest(list(view.media.values()))
    partners = {domain: partner.media or most for partner in view.partners for domain in partner.domains}
    links = {name: partner.media or most for partner in view.partners for name in partner.peer.identity}
    return MediaRules(view.media, partners, links, owner_of)


def facts_of(
    view: ServerView,
    incarnation: int,
    gruus: Gruus,
    home_of: Callable[[str], str],
    is_delegate: Callable[[str, str], bool] = no_delegate,
) -> Facts:
    """Return the facts by which this server's role decides; raises `OperatorError` for a role that sipmesh does not run.

    *home_of* gives the home pool of a user, "" if it is not known for sure, and *is_delegate* tells who may call for whom.
    """
    if view.role is Role.FRONT_END:
        return front_end_facts(view, incarnation, gruus, home_of, is_delegate)
    if view.role is Role.EDGE:
        return edge_facts(view, incarnation)
    if view.role is Role.GATEWAY:
        return gateway_facts(view, incarnation)
    if view.role is Role.MANAGEMENT:
        return names_of(view)
    remedy = f"start its program; its files are named by: sipmesh join accept {view.name}.join"
    raise OperatorError(f"{view.name} is an {view.role}: its program is not sipmesh; {remedy}")


def hops_of(view: ServerView) -> dict[str, Hop]:
    """Return the way to each of our servers."""
    return {name: Hop(name, LinkKind.SERVER, (address,)) for name, address in view.addresses.items()}


def partner_hops(view: ServerView) -> dict[str, Hop]:
    """Return the way to each partner, by each of its names: its domains and its edge."""
    return {name: partner_hop(partner, name) for partner in reversed(view.partners) for name in partner.peer.identity}


def partner_hop(partner: PartnerView, name: str) -> Hop:
    """The way to *partner*, which *name* belongs to: its edge, or what SRV says of the domain *name*."""
    addresses = partner.addresses
    service = PARTNER_SERVICE if addresses is None else None
    return Hop(partner.meant_name(name), LinkKind.PARTNER, addresses, service, listener=partner.listener)


def message_limits(view: ServerView) -> MessageLimits:
    """Return the limits of the messages that are stored for users."""
    asked = view.loaded.topology.messages
    return MessageLimits(asked.per_user, asked.per_sender, asked.lifetime_days * DAY_S)


def signing_partners(view: ServerView) -> dict[str, PartnerView]:
    """Return the partners with a policy about identity, by each domain and by the name of the peer."""
    return {
        name: partner
        for partner in view.partners
        if partner.identity_policy is not None
        for name in (*partner.domains, partner.peer.name)
    }


def front_end_facts(
    view: ServerView,
    incarnation: int,
    gruus: Gruus,
    home_of: Callable[[str], str],
    is_delegate: Callable[[str, str], bool] = no_delegate,
) -> front_end.FrontEndFacts:
    """Return the topology in the form that a front end routes by."""
    return front_end.FrontEndFacts(
        names=names_of(view),
        domains=view.sip_domains,
        pool=view.pool.name,
        entrances=frozenset().union(*(view.next_hops_of(p) for p in view.pools.values() if p.role in BORDERS)),
        applications=applications(view),
        homes_of_applications=homes_of_applications(view),
        route=view.choice_of(view.federation_route or ""),
        partner_domains=frozenset(domain for partner in view.partners for domain in partner.domains),
        trunks=frozenset(partner.name for partner in view.partners if partner.trunk is not None),
        numbers=site_plans_of(view.loaded.topology),
        emergency_gateways=emergency_gateways(view),
        gateways={name: p.name for p in view.pools.values() if p.role is Role.GATEWAY for name in p.servers},
        blocked=view.blocked,
        inside=inside_of(view),
        incarnation=incarnation,
        gruus=gruus,
        pools={pool_hash(pool.name): pool.name for pool in view.pools.values() if is_other_front_end(pool, view)},
        homes={pool.name: view.way_to(pool.name) for pool in view.pools.values() if is_other_front_end(pool, view)},
        home_rule=HomeRule(
            view.pool.name,
            view.sip_domains,
            home_of,
            lent_domains(view),
            backups_of(view),
            is_delegate,
            application_table(view),
        ),
        screeners=frozenset(pool.name for pool in view.pools.values() if pool.screens),
    )


def lent_domains(view: ServerView) -> dict[str, frozenset[str]]:
    """Return our SIP domains that applications may speak for, by the pool of front ends which passes their requests on."""
    lent: dict[str, frozenset[str]] = {}
    for pool in view.pools.values():
        domains = pool.speaks_for & view.sip_domains
        if domains and pool.next_hop:
            lent[pool.next_hop] = lent.get(pool.next_hop, frozenset()) | domains
    return lent


def backups_of(view: ServerView) -> dict[str, str]:
    """Return the backup pool of each pool that has one."""
    return {pool.name: pool.backup_pool for pool in view.pools.values() if pool.backup_pool}


def carriers_of(view: ServerView) -> frozenset[str]:
    """Return the servers that may carry links to this one: the front ends of other pools, and its edges with remote users."""
    if view.role is not Role.FRONT_END:
        return frozenset()
    pools = [pool for pool in view.pools.values() if is_other_front_end(pool, view)]
    pools += [pool for pool in view.pools.values() if pool.remote_users and view.pool.name in view.next_hops_of(pool)]
    return frozenset(server for pool in pools for server in pool.servers)


def accesses_of(view: ServerView) -> frozenset[str]:
    """Return the names in Record-Route of all servers that may be between a user of this pool and this server."""
    if view.role is not Role.FRONT_END:
        return frozenset()
    pools = [pool for pool in view.pools.values() if is_other_front_end(pool, view) or pool.remote_users]
    return frozenset().union(*(hosts_of(view, pool) for pool in pools))


def is_other_front_end(pool: PoolView, view: ServerView) -> bool:
    """Tell whether *pool* is a front-end pool other than that of this server."""
    return pool.role is Role.FRONT_END and pool.name != view.pool.name


def edge_facts(view: ServerView, incarnation: int) -> edge.EdgeFacts:
    """Return the topology in the form that an edge routes by."""
    return edge.EdgeFacts(
        names=names_of(view),
        domains=view.sip_domains,
        next_hop=view.way_to(view.next_hop or ""),
        partners={domain: partner.meant_name(domain) for partner in view.partners for domain in partner.domains},
        blocked=view.blocked,
        inside=inside_of(view),
        incarnation=incarnation,
    )


def gateway_facts(view: ServerView, incarnation: int) -> gateway.GatewayFacts:
    """Return the topology in the form that a gateway routes by."""
    callers = trunk_names(view)
    if callers is None:
        raise LocalError(f"{view.name} is no gateway")
    return gateway.GatewayFacts(
        names=names_of(view),
        pool=view.pool.name,
        next_hop=view.way_to(view.next_hop or ""),
        callers=callers,
        inside=inside_of(view),
        incarnation=incarnation,
    )


def applications(view: ServerView) -> dict[str, tuple[str, ...]]:
    """Return the application servers behind this server, by their own names and by the names of their pools."""
    found: dict[str, tuple[str, ...]] = {}
    for pool in view.pools.values():
        if pool.role is Role.APPLICATION and pool.next_hop == view.pool.name:
            found[pool.name] = pool.servers
            found |= {server: (server,) for server in pool.servers if server != pool.name}
    return found


def homes_of_applications(view: ServerView) -> dict[str, str]:
    """Return the front-end pool before each application that is behind another pool, by the names of applications."""
    return {
        name: pool.next_hop
        for pool in view.pools.values()
        if pool.role is Role.APPLICATION and pool.next_hop not in {None, view.pool.name}
        for name in (pool.name, *pool.servers)
        if pool.next_hop is not None
    }


def application_table(view: ServerView) -> ApplicationTable:
    """Return the applications with addresses or numbers of their own, and those that screen calls."""
    return ApplicationTable(
        ApplicationRoute(
            pool.name, pool.next_hop or "", pool.addresses, pool.numbers, pool.public, pool.screens, pool.passes
        )
        for pool in view.pools.values()
        if pool.addresses or pool.numbers or pool.screens
    )


def inside_of(view: ServerView) -> Inside:
    """Return the network in the form in which requests inside dialogs are checked."""
    pools = [hosts_of(view, pool) for pool in view.pools.values()]
    partners = [partner.domains | set(reference_names(partner)) for partner in view.partners]
    reserved = frozenset().union(*pools, *partners)
    if view.role is Role.GATEWAY:  # trunks reach the phones of a dialog by our name
        reserved -= hosts_of(view, view.pool)
    return Inside(peers_of(view), reserved, view.blocked, accesses_of(view), translated_sides(view))


def translated_sides(view: ServerView) -> frozenset[Side]:
    """Return the sides of dialogs whose parties have other names for their peers: trunks, and the gateways before them.

    A user may have forwarded a call of a trunk to a trunk. Then the front ends pass on the names of the one to the other.
    """
    if view.role is Role.GATEWAY:
        pools = frozenset(named_side(pool.name) for pool in view.pools.values() if pool.role is Role.FRONT_END)
        return pools.union(named_side(partner.peer.name) for partner in view.partners)
    return frozenset(named_side(pool.name) for pool in view.pools.values() if pool.role is Role.GATEWAY)


def peers_of(view: ServerView) -> Peers:
    """Return the peers behind each side that a dialog token may name."""
    inside = {named_side(pool.name): behind_pool(view, pool) for pool in view.pools.values()}
    if view.role not in BORDERS:
        return inside
    return inside | {named_side(p.peer.name): behind_partner(p) for p in view.partners}


def behind_pool(view: ServerView, pool: PoolView) -> Behind:
    """Return a pool of ours as a side of a dialog: all its servers except this one."""
    asserts = frozenset().union(*(view.trusted[server].asserts for server in pool.servers))
    return Behind(others(pool.servers, view.name), LinkKind.SERVER, asserts, targets_behind(view, pool))


def targets_behind(view: ServerView, pool: PoolView) -> frozenset[str]:
    """Return the host names of remote targets behind a pool: an application's own, or those of partners or trunks behind it."""
    if pool.role is Role.APPLICATION:
        return hosts_of(view, pool)
    if pool.role is Role.EDGE:
        partners = (partner for partner in view.partners if partner.trunk is None)
        return frozenset().union(*(partner.domains | set(reference_names(partner)) for partner in partners))
    if pool.role is Role.GATEWAY:
        trunks = (one for one in view.partners if one.trunk is not None and one.trunk.gateway == pool.name)
        return frozenset().union(*(trunk.domains | set(reference_names(trunk)) for trunk in trunks))
    return frozenset()


def behind_partner(partner: PartnerView) -> Behind:
    """Return a partner as a side of a dialog: its edge, or the servers of its domains."""
    names = reference_names(partner)
    return Behind(names, LinkKind.PARTNER, partner.domains, partner.domains | set(names))


def hosts_of(view: ServerView, pool: PoolView) -> frozenset[str]:
    """Return every name of a pool and of its servers, inside and outside; SIP domains are not included."""
    return frozenset({pool.name, *pool.servers}).union(*(view.trusted[server].names for server in pool.servers)) - (
        view.sip_domains
    )


def reference_names(partner: PartnerView) -> tuple[str, ...]:
    """Return the names by which a partner is judged: its configured edge, or else each of its domains (rule R9)."""
    return tuple(dict.fromkeys(partner.meant_name(domain) for domain in sorted(partner.domains)))


def others(servers: tuple[str, ...], here: str) -> tuple[str, ...]:
    """Return the servers of a pool except this one."""
    return tuple(server for server in servers if server != here)
