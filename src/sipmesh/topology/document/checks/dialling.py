"""How sites type numbers, and routes: what they name is in the document, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.checks.trunks import users_are_ours
from sipmesh.topology.document.report import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.topology.document.checks.checked_document import CheckedDocument
    from sipmesh.topology.document.parts.dialling import EmergencyService, Extension
    from sipmesh.topology.document.yaml_tree import Loc


def sites_of_numbers_are_told_apart(document: CheckedDocument) -> None:
    """Each site has one entry, and a user is at one site. Its trunks take emergency calls."""
    sites: set[str] = set()
    users: dict[str, str] = {}
    for n, one in enumerate(document.topology.numbers.sites):
        place: Loc = ("numbers", "sites", n)
        _is_listed(document, (*place, "site"), one.site)
        if one.site in sites:
            document.report.add((*place, "site"), f"{one.site!r} has an entry already", "write both into one entry")
        sites.add(one.site)
        users_are_ours(document, place, one.users)
        for m, user in enumerate(one.users):
            other = users.setdefault(user, one.site)
            if other != one.site:
                reason = f"{user!r} is at the site {other} already"
                document.report.add((*place, "users", m), reason, "leave the user at one site")
        _are_trunks(document, (*place, "emergency_trunks"), one.emergency_trunks, takes_emergencies=True)
        _are_told_apart(document, (*place, "extensions"), one.extensions or ())
        numbers = document.topology.numbers.emergency if one.emergency is None else one.emergency
        _have_numbers(document, (*place, "emergency_services"), one.emergency_services or (), numbers)


def services_have_emergency_numbers(document: CheckedDocument) -> None:
    """Each emergency service has one number, and that is an emergency number."""
    numbers = document.topology.numbers
    _have_numbers(document, ("numbers", "emergency_services"), numbers.emergency_services, numbers.emergency)


def extensions_are_told_apart(document: CheckedDocument) -> None:
    """What is typed is in one range of extensions."""
    _are_told_apart(document, ("numbers", "extensions"), document.topology.numbers.extensions)


def routes_lead_to_trunks(document: CheckedDocument) -> None:
    """Each route has a name of its own, and its trunks carry its numbers."""
    names: set[str] = set()
    for n, one in enumerate(document.topology.numbers.routes):
        place: Loc = ("numbers", "routes", n)
        if one.name in names:
            document.report.add((*place, "name"), f"{one.name!r} is the name of another route", "write another name")
        names.add(one.name)
        for m, site in enumerate(one.sites):
            _is_listed(document, (*place, "sites", m), site)
        users_are_ours(document, place, one.users)
        _are_trunks(document, (*place, "trunks"), one.trunks, takes_emergencies=False)
        for m, prefix in enumerate(one.numbers):
            if not _is_carried(document, one.trunks, prefix):
                reason = f"no trunk of this route carries numbers that begin with {prefix}"
                document.report.add((*place, "numbers", m), reason, "write its first digits into `carries` of a trunk")


def _is_carried(document: CheckedDocument, trunks: Sequence[str], prefix: str) -> bool:
    """Tell whether one of *trunks* carries some numbers that begin with *prefix*. A name that is no trunk is another problem."""
    found = [one.trunk for one in document.topology.federation.partners if one.trunk and one.name in trunks]
    carried = [other for trunk in found for other in trunk.carries]
    return not found or any(prefix.startswith(other) or other.startswith(prefix) for other in carried)


def _is_listed(document: CheckedDocument, place: Loc, site: str) -> None:
    sites = document.topology.sites
    if site not in sites:
        remedy = did_you_mean(site, sites, f"to add the site: sipmesh topology add site {site}")
        document.report.add(place, f"{site!r} is not one of `sites`", remedy)


def _are_trunks(document: CheckedDocument, place: Loc, names: Sequence[str], *, takes_emergencies: bool) -> None:
    partners = document.topology.federation.partners
    trunks = {one.name: one.trunk for one in partners if one.trunk is not None}
    for m, name in enumerate(names):
        trunk = trunks.get(name)
        if trunk is None:
            remedy = did_you_mean(name, list(trunks), "name a partner with a `trunk`")
            document.report.add((*place, m), f"{name!r} is not a trunk", remedy)
        elif takes_emergencies and not trunk.emergency:
            reason = f"{name!r} takes no emergency calls"
            document.report.add((*place, m), reason, "write `emergency: true` into its `trunk`")


def _have_numbers(
    document: CheckedDocument, place: Loc, services: Sequence[EmergencyService], numbers: Sequence[str]
) -> None:
    known: set[str] = set()
    for m, one in enumerate(services):
        if one.service in known:
            reason = f"{one.service!r} has a number already"
            document.report.add((*place, m, "service"), reason, "leave it one number")
        known.add(one.service)
        if one.number not in numbers:
            reason = f"{one.number!r} is not one of `emergency`"
            document.report.add((*place, m, "number"), reason, "write it into `emergency` too")


def _are_told_apart(document: CheckedDocument, place: Loc, ranges: Sequence[Extension]) -> None:
    """Two ranges have no typed digits in common: of one length, and neither prefix begins with the other."""
    for m, one in enumerate(ranges):
        for other in ranges[:m]:
            same_length = one.digits + len(one.prefix or "") == other.digits + len(other.prefix or "")
            first, second = one.prefix or "", other.prefix or ""
            if same_length and (first.startswith(second) or second.startswith(first)):
                reason = f"what is typed for {one} may be for {other} too"
                document.report.add((*place, m), reason, "write another prefix or another number of digits")
