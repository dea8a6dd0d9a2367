"""Trunks: the gateway of each, and what a trunk cannot have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.report import did_you_mean
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.topology.document.checks.checked_document import CheckedDocument
    from sipmesh.topology.document.yaml_tree import Loc


def trunks_have_a_gateway(document: CheckedDocument) -> None:
    """A trunk names a gateway pool."""
    gateways = [pool.name for pool in document.topology.pools if pool.role is Role.GATEWAY]
    remedy = f"name a gateway pool: {', '.join(gateways) or 'add one by sipmesh topology add pool --role gateway'}"
    for n, partner in enumerate(document.topology.federation.partners):
        if partner.trunk is None or partner.trunk.gateway in gateways:
            continue
        place: Loc = ("federation", "partners", n, "trunk", "gateway")
        name = partner.trunk.gateway
        target = document.topology.pool(name)
        if target is not None:
            document.report.add(place, f"{name!r} is a pool of role {target.role}, not gateway", remedy)
        elif name not in document.unread.texts:
            reason = f"{name!r} is not a pool of this topology"
            document.report.add(place, reason, did_you_mean(name, gateways, remedy))


def trunks_have_no_users(document: CheckedDocument) -> None:
    """A trunk has one name, and signs no calls: its users are numbers."""
    for n, partner in enumerate(document.topology.federation.partners):
        place: Loc = ("federation", "partners", n)
        if partner.trunk is None:
            continue
        if len(partner.domains) > 1:
            remedy = "leave the name in its certificate, and add an entry for each other trunk"
            document.report.add((*place, "domains"), "a trunk has one name", remedy)
        if partner.identity is not None:
            document.report.add((*place, "identity"), "a trunk asserts numbers, and signs no calls", "remove it")
