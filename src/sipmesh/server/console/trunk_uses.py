"""How much of a trunk each gateway uses, and how much each application is used, by the reports of gateways and front ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.server.replication.server_status import ApplicationUse, CallerUse, TrunkUse

if TYPE_CHECKING:
    from sipmesh.server.management.replies import NetworkReply


@dataclass(frozen=True, slots=True)
class UseAtGateway:
    """What the gateway *server* reports of one trunk, and the *callers* who call most through all its trunks."""

    server: str
    use: TrunkUse
    callers: tuple[CallerUse, ...] = ()


@dataclass(frozen=True, slots=True)
class UseAtFrontEnd:
    """What the front end *server* reports of one application."""

    server: str
    use: ApplicationUse


@dataclass(frozen=True, slots=True)
class CallerAtGateway:
    """What the gateway *server* reports of one user."""

    server: str
    use: CallerUse


def uses_of(network: NetworkReply, trunk: str) -> list[UseAtGateway]:
    """Return the use of *trunk* at each gateway that has reported."""
    return [
        UseAtGateway(report.server, one, report.callers)
        for report in network.servers
        for one in report.trunks
        if one.trunk == trunk
    ]


def callers_of(uses: list[UseAtGateway]) -> list[CallerAtGateway]:
    """Return the users who call most at the gateways of *uses*, and what they have used of their bounds."""
    found = [CallerAtGateway(one.server, caller) for one in uses for caller in one.callers]
    return sorted(found, key=lambda one: -one.use.minutes)


def applications_at(network: NetworkReply, application: str) -> list[UseAtFrontEnd]:
    """Return the use of *application* at each front end that has reported it."""
    return [UseAtFrontEnd(*one) for one in _applications(network) if one[1].application == application]


def _applications(network: NetworkReply) -> Iterator[tuple[str, ApplicationUse]]:
    for report in network.servers:
        for one in report.applications:
            yield report.server, one
