"""Trunks: the gateway of each, and what a trunk cannot have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.topology.document.parts.stir import StirMode
from sipmesh.topology.document.report import did_you_mean
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.topology.document.checks.checked_document import CheckedDocument
    from sipmesh.topology.document.yaml_tree import Loc


NO_COUNTRY: Final = "001"
"""Networks of no country, as the library calls them."""


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


def keyed_trunks_have_rtpengine(document: CheckedDocument) -> None:
    """A trunk with `keying` has a gateway with `rtpengine`, and only servers that forward calls have one."""
    for loc, pool in document.pools():
        if pool.rtpengine is not None and pool.role not in {Role.FRONT_END, *BORDERS}:
            document.report.add((*loc, "rtpengine"), f"a pool of role {pool.role} has no `rtpengine`", "remove it")
    for n, partner in enumerate(document.topology.federation.partners):
        gateway = document.topology.pool(partner.trunk.gateway) if partner.trunk is not None else None
        if partner.trunk is None or partner.trunk.keying is None or gateway is None or gateway.rtpengine is not None:
            continue
        place: Loc = ("federation", "partners", n, "trunk", "keying")
        remedy = f"write `rtpengine: 2223` into the pool {gateway.name}, and run rtpengine beside each of its servers"
        document.report.add(place, f"the gateway {gateway.name} has no `rtpengine`, which keys the media", remedy)


def challenged_trunks_are_bounded(document: CheckedDocument) -> None:
    """A trunk without a certificate has a port of its own, which asks for none, and so many calls a second at most."""
    for n, partner in enumerate(document.topology.federation.partners):
        trunk = partner.trunk
        for key in ("port", "calls_per_second") if trunk is not None and trunk.challenge is not None else ():
            if getattr(trunk, key) is None:
                place: Loc = ("federation", "partners", n, "trunk", "challenge")
                reason = f"a trunk without a certificate needs `{key}`"
                document.report.add(place, reason, f"write `{key}` into the `trunk`, or remove `challenge`")


def hosts_of_trunks_are_free(document: CheckedDocument) -> None:
    """Our name at a trunk is no other name of the topology: by it, the trunk means its gateway."""
    topology = document.topology
    taken: set[str | None] = {*topology.sip_domains, *topology.server_names}
    taken.update(name for pool in topology.pools for name in (pool.name, pool.internal_name))
    taken.add(topology.invitations.name if topology.invitations is not None else None)
    taken.update(name for partner in topology.federation.partners for name in partner.identities)
    for n, partner in enumerate(topology.federation.partners):
        host = partner.trunk.host if partner.trunk is not None else None
        if host is not None and host in taken:
            place: Loc = ("federation", "partners", n, "trunk", "host")
            document.report.add(place, f"{host!r} is another name in this topology", "write a name of its own")


def signatures_can_be_verified(document: CheckedDocument) -> None:
    """A trunk whose calls are verified has roots of signers, and hosts for their certificates."""
    for n, partner in enumerate(document.topology.federation.partners):
        stir = partner.trunk.stir if partner.trunk is not None else None
        for key in ("anchors", "hosts") if stir is not None and stir.incoming is not StirMode.OFF else ():
            if not getattr(stir, key):
                place: Loc = ("federation", "partners", n, "trunk", "stir", key)
                remedy = "ask the provider for it, or write `incoming: off`"
                document.report.add(place, "without it, no signature is valid", remedy)


def emergency_calls_have_a_trunk(document: CheckedDocument) -> None:
    """A trunk takes the calls to emergency numbers."""
    partners = document.topology.federation.partners
    if any(one.trunk and one.trunk.emergency for one in partners):
        return
    numbers, remedy = document.topology.numbers, "write `emergency: true` into the `trunk` of a partner"
    places: list[Loc] = [("numbers", "emergency")] if numbers.emergency else []
    places += [("numbers", "sites", n, "emergency") for n, site in enumerate(numbers.sites) if site.emergency]
    for place in places:
        document.report.add(place, "no trunk takes calls to these numbers", remedy)


def classes_of_numbers_are_told_apart(document: CheckedDocument) -> None:
    """Each class has a name of its own. First digits, a country or a kind are in one class. Its users are in our SIP domains."""
    names: set[str] = set()
    known: dict[str, str] = {}
    for n, one in enumerate(document.topology.numbers.classes):
        place: Loc = ("numbers", "classes", n)
        if one.name in names:
            document.report.add((*place, "name"), f"{one.name!r} is the name of another class", "write another name")
        names.add(one.name)
        if not (one.numbers or one.countries or one.kinds):
            document.report.add(place, "no number is in it", "write `numbers`, `countries` or `kinds`")
        for key, values in (("numbers", one.numbers), ("countries", one.countries), ("kinds", one.kinds)):
            for m, value in enumerate(values):
                other = known.setdefault(str(value), one.name)
                if other != one.name:
                    reason = f"{str(value)!r} is in the class {other} already"
                    document.report.add((*place, key, m), reason, "leave it in one class")
        users_are_ours(document, place, one.users)


def countries_are_known(document: CheckedDocument) -> None:
    """The countries of classes are in the plans by which a number has a country."""
    for n, one in enumerate(document.topology.numbers.classes):
        for m, country in enumerate(one.countries):
            from phonenumbers import SUPPORTED_REGIONS

            if country not in SUPPORTED_REGIONS and country != NO_COUNTRY:
                place: Loc = ("numbers", "classes", n, "countries", m)
                remedy = "write two letters as in ISO 3166, such as AT"
                document.report.add(place, f"{country!r} is no country", remedy)


def users_are_ours(document: CheckedDocument, place: Loc, users: Sequence[str]) -> None:
    """The users of the part at *place* are in our SIP domains."""
    for m, user in enumerate(users):
        domain = user.rpartition("@")[2]
        if domain not in document.topology.sip_domains:
            remedy = f"name a user of: {', '.join(document.topology.sip_domains)}"
            document.report.add((*place, "users", m), f"{domain!r} is not one of our SIP domains", remedy)
