"""What a server takes from the trunks of a topology: their numbers, the names at a gateway, and the facts of its role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.identity.trunk_names import TrunkNames
from sipmesh.routing.numbers.dial_plan import DialPlan, NumberClass
from sipmesh.routing.numbers.trunk_table import TrunkRoute, TrunkTable
from sipmesh.topology.server_choice import NO_SERVERS, ServerChoice
from sipmesh.trust.role import Role

if TYPE_CHECKING:
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
        )
        for partner in view.loaded.topology.federation.partners
        if partner.trunk is not None
    ]
    return TrunkTable(routes) if routes else None


def dial_plan(view: ServerView) -> DialPlan:
    """Return how users type telephone numbers, and who may call which."""
    numbers = view.loaded.topology.numbers
    classes = tuple(
        NumberClass(one.name, one.numbers, one.everyone, frozenset(f"sip:{user}" for user in one.users))
        for one in numbers.classes
    )
    return DialPlan(
        numbers.country or "", numbers.national, numbers.international, frozenset(numbers.emergency), classes
    )


def emergency_gateways(view: ServerView) -> ServerChoice:
    """Return the gateways whose trunks take emergency calls, in the order of the trunks."""
    table = trunk_table(view)
    choice = NO_SERVERS
    for trunk in table.taking_emergencies() if table is not None else ():
        choice = choice.then(view.choice_of(trunk.gateway))
    return choice


def trunk_names(view: ServerView) -> TrunkNames | None:
    """Return the names of callers and callees at this gateway; None on any other server."""
    if view.role is not Role.GATEWAY:
        return None
    domain = view.loaded.topology.sip_domains[0]
    return TrunkNames(view.pool.name, domain, view.sip_domains, trunk_table(view) or TrunkTable(()), dial_plan(view))


def gateway_pools(view: ServerView) -> frozenset[str]:
    """Return the gateway pools, to which a front end says the number of a caller."""
    if view.role is not Role.FRONT_END:
        return frozenset()
    return frozenset(pool.name for pool in view.pools.values() if pool.role is Role.GATEWAY)
