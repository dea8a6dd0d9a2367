"""Words for federation and partners that have changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sipmesh.topology.versions.pairing import pairings
from sipmesh.topology.versions.part_changes.authority_changes import authority_changes, name_anchor
from sipmesh.topology.versions.part_changes.field_changes import (
    Words,
    from_to,
    list_fields,
    list_names,
    order_changes,
    spell,
)
from sipmesh.trust.formatting import tell_list, tell_time
from sipmesh.trust.role import ClientUsage

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.ct_log_entry import CtLogEntry
    from sipmesh.topology.document.parts.federation import Partner
    from sipmesh.trust.authority import Authority


def _route(_whose: str, old: str | None, new: str | None) -> str:
    return f"partners are reached through {new or 'nothing'} instead of {old or 'nothing'}"


def _usage(whose: str, _old: ClientUsage, new: ClientUsage) -> str:
    if new is ClientUsage.SERVER_OK:
        return f"{whose} may now connect with a certificate for serverAuth only"
    return f"{whose} must now connect with a certificate for clientAuth"


def _third_party(whose: str, _old: object, new: object) -> str:
    whom = "other organisations also, so that only the name identifies it" if new else "this partner only"
    return f"the CA of {whose} is now declared to issue for {whom}"


_FEDERATION: Mapping[str, Words | None] = {
    "route": _route,
    "partners": None,
    "networks": None,
    "ct_logs": None,
    "blocked": None,
    "blocked_partners": None,
}

_PARTNER: Mapping[str, Words | None] = {
    **dict.fromkeys(("domains", "anchors", "crls", "crl_hosts", "ocsp", "revocation", "grace", "list_limit")),
    "edge": from_to("edge", "DNS SRV"),
    "address": from_to("address", "DNS"),
    "client_usage": _usage,
    "media": from_to("media", "those of our users"),
    "dane": from_to("DANE", "off"),
    "ct": from_to("certificate transparency", "off"),
    "identity": from_to("signatures of calls", "none"),
    "third_party": _third_party,
    "trunk": from_to("trunk", "none"),
}


def federation_changes(old: Topology, new: Topology) -> Iterator[str]:
    """List changes of the way to partners, and of the blocked names."""
    before, after = old.federation, new.federation
    yield from list_fields("federation", before, after, _FEDERATION)
    yield from list_names(
        [str(network) for network in before.networks],
        [str(network) for network in after.networks],
        lambda name: f"DNS names of partners may lead to {name}",
        lambda name: f"DNS names of partners may no longer lead to {name}",
        "the networks of partners",
    )
    yield from list_names(
        [log_name(entry) for entry in before.ct_logs],
        [log_name(entry) for entry in after.ct_logs],
        lambda name: f"SCTs of the log {name} count",
        lambda name: f"SCTs of the log {name} no longer count",
        "the logs of Certificate Transparency",
    )
    yield from list_names(
        before.blocked,
        after.blocked,
        lambda name: f"{name} is blocked",
        lambda name: f"{name} is no longer blocked",
        "the blocked names",
    )
    kept, keeps = ({str(one["domains"][0]): one for one in each.blocked_partners} for each in (before, after))
    yield from list_names(
        list(kept),
        list(keeps),
        lambda name: f"the entry of {name} is kept while it is blocked",
        lambda name: f"the entry of {name} is no longer kept",
        "the kept entries",
    )
    yield from (f"the kept entry of {name} changes" for name in kept.keys() & keeps.keys() if kept[name] != keeps[name])


def log_name(entry: CtLogEntry) -> str:
    """Name a log by its operator, its id, and its end."""
    end = f", until {tell_time(entry.until)}" if entry.until is not None else ""
    return f"{entry.operator} {entry.log.id.hex()[:16]}{end}"


def partner_changes(old: Loaded, new: Loaded) -> Iterator[str]:
    """List partners that are added, removed or changed, and another order of them."""
    found = pairings(old, new)
    for pair in found:
        if pair.old is None and pair.new is not None:
            yield _welcome(*pair.new)
        elif pair.new is None and pair.old is not None:
            yield f"partner {pair.old[0].name} may no longer connect"
        elif pair.old is not None and pair.new is not None:
            yield from _partner(pair.old[0], pair.new[0], (pair.old[1], pair.new[1]))
    places = {pair.old[0].name: pair.new[0].name for pair in found if pair.old and pair.new}
    before = [places[partner.name] for partner in old.topology.federation.partners if partner.name in places]
    yield from order_changes(before, [partner.name for partner in new.topology.federation.partners], "the partners")


def _welcome(partner: Partner, authority: Authority) -> str:
    """Describe a new partner, and how it proves its identity."""
    parts = [f"partner {partner.name} may now connect with {tell_list(partner.identities)}"]
    parts += [f"under {' and '.join(map(name_anchor, authority.anchors)) or 'no anchor'}"]
    parts += [f"with the files {tell_list((*partner.anchors, *partner.crls))}"]
    parts += [f"as a trunk ({spell(partner.trunk, 'none')})"] if partner.trunk is not None else []
    parts += ["of a third-party CA"] if partner.third_party else []
    parts += ["with a certificate for serverAuth only"] if partner.client_usage is ClientUsage.SERVER_OK else []
    return ", ".join(parts)


def _partner(old: Partner, new: Partner, read: tuple[Authority, Authority]) -> Iterator[str]:
    whose = f"partner {new.name}"
    if old.name != new.name:
        yield f"partner {old.name} is now called {new.name}"
    yield from list_names(
        old.domains,
        new.domains,
        lambda name: f"{whose} may now connect as {name}",
        lambda name: f"{whose} may no longer connect as {name}",
        f"the domains of {whose}",
    )
    yield from list_fields(whose, old, new, _PARTNER)
    yield from authority_changes(old, new, read, whose)
