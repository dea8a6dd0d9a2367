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


def emergency_calls_have_a_trunk(document: CheckedDocument) -> None:
    """A trunk takes the calls to emergency numbers."""
    partners = document.topology.federation.partners
    if document.topology.numbers.emergency and not any(one.trunk and one.trunk.emergency for one in partners):
        remedy = "write `emergency: true` into the `trunk` of a partner"
        document.report.add(("numbers", "emergency"), "no trunk takes calls to these numbers", remedy)


def classes_of_numbers_are_told_apart(document: CheckedDocument) -> None:
    """Each class has a name of its own, and first digits are in one class. Its users are in our SIP domains."""
    names: set[str] = set()
    prefixes: dict[str, str] = {}
    for n, one in enumerate(document.topology.numbers.classes):
        place: Loc = ("numbers", "classes", n)
        if one.name in names:
            document.report.add((*place, "name"), f"{one.name!r} is the name of another class", "write another name")
        names.add(one.name)
        for m, prefix in enumerate(one.numbers):
            other = prefixes.setdefault(prefix, one.name)
            if other != one.name:
                reason = f"{prefix!r} is in the class {other} already"
                document.report.add((*place, "numbers", m), reason, "leave it in one class")
        for m, user in enumerate(one.users):
            domain = user.rpartition("@")[2]
            if domain not in document.topology.sip_domains:
                remedy = f"name a user of: {', '.join(document.topology.sip_domains)}"
                document.report.add((*place, "users", m), f"{domain!r} is not one of our SIP domains", remedy)
