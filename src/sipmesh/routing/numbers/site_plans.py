"""How numbers are typed at each site, and what an emergency call from there says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sipmesh.routing.numbers.dial_plan import DialPlan, dial_plan_of, extensions_of, services_of
from sipmesh.topology.server_choice import ServerChoice

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.dialling import SiteNumbers
    from sipmesh.topology.document.parts.numbers import Numbers


@dataclass(frozen=True, slots=True)
class SitePlan:
    """How users at the site *name* type numbers; "" has the users who are at no site.

    *emergency_trunks* are tried first for emergency calls from there. Such a call carries *location*, a URI, and the number
    *callback* of a user without a number.
    """

    name: str
    plan: DialPlan
    emergency_trunks: tuple[str, ...] = ()
    location: str = ""
    callback: str = ""


@dataclass(frozen=True, slots=True)
class EmergencyGateways:
    """The *servers* of gateways for emergency calls from one site, and the *trunks* in the order of the site."""

    servers: ServerChoice
    trunks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class SitePlans:
    """The plan of each site. *users* has the site of users who are named, *pools* that of the users of a home pool."""

    general: SitePlan
    sites: Mapping[str, SitePlan] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    pools: Mapping[str, str] = field(default_factory=dict)

    @property
    def emergency(self) -> frozenset[str]:
        """The emergency numbers of all sites."""
        return self.general.plan.emergency.union(*(site.plan.emergency for site in self.sites.values()))

    def of(self, user: str | None, home: str) -> SitePlan:
        """Give the plan of *user*, ``sip:user@domain``, whose home pool is *home*; the general one for any other caller."""
        if user is None or not self.sites:
            return self.general
        return self.sites.get(self.users.get(user) or self.pools.get(home, ""), self.general)

    def at_trunks(self) -> DialPlan:
        """Give the plan of a gateway. A trunk types no extension, and front ends have completed what users type."""
        return replace(self.general.plan, emergency=self.emergency, extensions=(), outside_line="")


def site_plans_of(topology: Topology) -> SitePlans:
    """Return how numbers are typed at each site, as a topology says."""
    general = SitePlan("", dial_plan_of(topology.numbers))
    given = topology.numbers.sites
    return SitePlans(
        general,
        {
            **{name: replace(general, name=name) for name in topology.sites},
            **{site.site: site_plan(general.plan, site, topology.numbers) for site in given},
        },
        {f"sip:{user}": site.site for site in given for user in site.users},
        {pool.name: pool.site for pool in topology.pools if pool.site is not None},
    )


def site_plan(general: DialPlan, site: SiteNumbers, numbers: Numbers) -> SitePlan:
    """Return the plan of one site: the *general* one of *numbers*, with what the site has otherwise."""
    emergency = numbers.emergency if site.emergency is None else site.emergency
    services = numbers.emergency_services if site.emergency_services is None else site.emergency_services
    plan = replace(
        general,
        country=general.country if site.country is None else site.country,
        national=general.national if site.national is None else site.national,
        international=general.international if site.international is None else site.international,
        emergency=frozenset(emergency),
        services=services_of(emergency, services),
        outside_line=general.outside_line if site.outside_line is None else site.outside_line,
        extensions=general.extensions if site.extensions is None else extensions_of(site.extensions),
    )
    return SitePlan(site.site, plan, site.emergency_trunks, site.location or "", site.callback or "")
