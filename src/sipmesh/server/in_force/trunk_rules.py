"""What a server takes from the trunks of a topology: their numbers, the names at a gateway, and the facts of its role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.identity.trunk_names import TrunkNames
from sipmesh.routing.numbers.number_routes import named_first
from sipmesh.routing.numbers.site_plans import EmergencyGateways, SitePlan, site_plans_of
from sipmesh.routing.numbers.trunk_challenge import TrunkChallenge
from sipmesh.routing.numbers.trunk_login import TrunkLogin
from sipmesh.routing.numbers.trunk_table import TrunkRoute, TrunkTable
from sipmesh.sip.digest import Algorithm
from sipmesh.topology.server_choice import NO_SERVERS
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sipmesh.topology.document.parts.trunk import Account, Trunk
    from sipmesh.topology.view import ServerView


def trunk_table(view: ServerView) -> TrunkTable | None:
    """Return all trunks of the topology; None if there is none."""
    routes = [
        TrunkRoute(
            partner.name,
            partner.trunk.gateway,
            partner.trunk.asserts,
            partner.trunk.carries,
            partner.trunk.priority,
            partner.trunk.weight,
            partner.trunk.main_number or "",
            partner.trunk.emergency,
            partner.trunk.channels,
            partner.trunk.calls_per_second,
            partner.trunk.longest_call,
            login_of(partner.name, partner.trunk.login),
            partner.trunk.ping or 0,
            partner.trunk.minutes,
            partner.trunk.keying,
            partner.trunk.host or "",
            challenge_of(partner.trunk),
        )
        for partner in view.loaded.topology.federation.partners
        if partner.trunk is not None
    ]
    ours = tuple(first for pool in view.loaded.topology.pools for first in pool.numbers)
    return TrunkTable(routes, ours) if routes else None


def login_of(trunk: str, account: Account | None) -> TrunkLogin | None:
    """Return how this organisation logs in at *trunk*; None if it has no account there."""
    if account is None:
        return None
    return TrunkLogin(
        account.user,
        account.domain or trunk,
        account.realm,
        account.secret_file,
        Algorithm(account.algorithm),
        account.registers,
        account.expires,
    )


def challenge_of(trunk: Trunk) -> TrunkChallenge | None:
    """Return how *trunk* logs in here; None if it proves itself by a certificate."""
    found = trunk.challenge
    if found is None:
        return None
    return TrunkChallenge(found.user, trunk.host or trunk.gateway, found.secret_file, Algorithm(found.algorithm))


def emergency_gateways(view: ServerView) -> Mapping[str, EmergencyGateways]:
    """Return for each site, "" for no site, the gateways whose trunks take emergency calls; none if no trunk takes them."""
    table, plans = trunk_table(view), site_plans_of(view.loaded.topology)
    taking = table.taking_emergencies() if table is not None else ()
    if not taking:
        return {}
    return {site.name: _gateways_of(view, site, taking) for site in (plans.general, *plans.sites.values())}


def _gateways_of(view: ServerView, site: SitePlan, taking: Sequence[TrunkRoute]) -> EmergencyGateways:
    """Return the gateways for emergency calls from *site*, in the order of its trunks."""
    trunks, choice = named_first(taking, site.emergency_trunks), NO_SERVERS
    for trunk in trunks:
        choice = choice.then(view.choice_of(trunk.gateway))
    return EmergencyGateways(choice, tuple(trunk.name for trunk in trunks) if site.emergency_trunks else ())


def trunk_names(view: ServerView) -> TrunkNames | None:
    """Return the names of callers and callees at this gateway; None on any other server."""
    if view.role is not Role.GATEWAY:
        return None
    domain, plan = view.loaded.topology.sip_domains[0], site_plans_of(view.loaded.topology).at_trunks()
    return TrunkNames(view.pool.name, domain, view.sip_domains, trunk_table(view) or TrunkTable(()), plan)


def told_numbers(view: ServerView) -> frozenset[str]:
    """Return the pools to which a front end says the number of a caller: gateways, and applications behind it."""
    if view.role is not Role.FRONT_END:
        return frozenset()
    told = {Role.GATEWAY, Role.APPLICATION}
    return frozenset(pool.name for pool in view.pools.values() if pool.role in told)
