"""Applications: whom they speak for, and the names that are theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.report import did_you_mean
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.topology.document.checks.checked_document import CheckedDocument


def applications_speak_for_domains_of_ours(document: CheckedDocument) -> None:
    """An application may assert users of our SIP domains only."""
    ours = document.topology.sip_domains
    for loc, pool in document.pools():
        for n, domain in enumerate(pool.speaks_for):
            if domain not in ours and domain not in document.unread.texts:
                remedy = did_you_mean(domain, ours, f"name one of our SIP domains: {', '.join(ours)}")
                document.report.add((*loc, "speaks_for", n), f"{domain!r} is not a SIP domain of the topology", remedy)


def only_applications_have_names(document: CheckedDocument) -> None:
    """Only a pool of applications has `sip_addresses`, `numbers`, `public` and `screens`."""
    for loc, pool in document.pools():
        for key in ("sip_addresses", "numbers", "public", "screens"):
            if pool.role is not Role.APPLICATION and getattr(pool, key):
                document.report.add((*loc, key), f"a pool of role {pool.role} has no `{key}`", "remove it")
        if pool.role is Role.APPLICATION and pool.public and not (pool.sip_addresses or pool.numbers):
            remedy = "add `sip_addresses` or `numbers`: partners and trunks reach an application by these"
            document.report.add((*loc, "public"), "this application has no name for partners and trunks", remedy)


def names_of_applications_are_told_apart(document: CheckedDocument) -> None:
    """An address of an application is in our SIP domains, and no two applications have the same address or the same numbers."""
    ours, owners = document.topology.sip_domains, dict[str, str]()
    for loc, pool in document.pools():
        for key, names in (("sip_addresses", pool.sip_addresses), ("numbers", pool.numbers)):
            for n, name in enumerate(names):
                owner = owners.setdefault(name, pool.name)
                if owner != pool.name or name in names[:n]:
                    document.report.add(
                        (*loc, key, n), f"{name!r} is a name of {owner} already", "remove one of the two"
                    )
        for n, domain in enumerate(address.rpartition("@")[2] for address in pool.sip_addresses):
            if domain not in ours and domain not in document.unread.texts:
                remedy = did_you_mean(domain, ours, f"name one of our SIP domains: {', '.join(ours)}")
                document.report.add(
                    (*loc, "sip_addresses", n), f"{domain!r} is not a SIP domain of the topology", remedy
                )


def calls_are_screened_once(document: CheckedDocument) -> None:
    """Whose calls an application screens is in our SIP domains, and no two applications behind a pool screen the same calls."""
    ours, owners = document.topology.sip_domains, dict[tuple[str, str], str]()
    for loc, pool in document.pools():
        if pool.if_away == "pass" and not pool.screens:
            remedy = "add `screens`, the users or domains whose calls it gets first; or remove `if_away`"
            document.report.add((*loc, "if_away"), f"{pool.name} screens no calls", remedy)
        for n, name in enumerate(pool.screens):
            owner, place = owners.setdefault((pool.next_hop or "", name.lower()), pool.name), (*loc, "screens", n)
            domain = name.rpartition("@")[2]
            if owner != pool.name or name.lower() in map(str.lower, pool.screens[:n]):
                document.report.add(place, f"{owner} screens the calls to {name} already", "remove one of the two")
            elif domain not in ours and domain not in document.unread.texts:
                remedy = did_you_mean(domain, ours, f"name one of our SIP domains: {', '.join(ours)}")
                document.report.add(place, f"{domain!r} is not a SIP domain of the topology", remedy)
