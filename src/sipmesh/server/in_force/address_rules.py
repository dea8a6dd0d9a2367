"""Whose an address is, by the topology in force: a user of our pool, a user of a partner, or unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.server.in_force.in_force import Current, InForce
    from sipmesh.topology.document.watching import Watching


class AddressRules:
    """What one server says of addresses, by what is in force."""

    def __init__(self, current: Current) -> None:
        self._current = current

    def partner_of(self, domain: str) -> str:
        """Return the name of the partner that *domain* belongs to; "" for our own and for unknown domains."""
        partner = self._current.value.view.partner_for(domain)
        return partner.peer.name if partner is not None else ""

    def watching(self, aor: str, watcher: str) -> Watching:
        """Return what *watcher* may see of the presence of *aor* now: see `watching` below."""
        return watching(self._current.value, aor, watcher)

    def is_ours(self, aor: str) -> bool:
        """Return whether *aor* may be at home in our pool."""
        in_force = self._current.value
        return not in_force.homes.knows(aor) or in_force.homes.of(aor) == in_force.view.pool.name

    def may_exist(self, aor: str) -> bool:
        """Return whether *aor* may be a known address: of a user of ours, or in a domain that a peer may assert."""
        view, homes, domain = self._current.value.view, self._current.value.homes, aor.rpartition("@")[2]
        if domain in view.sip_domains:
            return not homes.knows(aor) or homes.of(aor) is not None
        if domain in view.blocked:
            return False
        return bool(self.partner_of(domain)) or any(domain in peer.asserts for peer in view.trusted.values())


def watching(in_force: InForce, aor: str, watcher: str) -> Watching:
    """Return what *watcher* may see of the presence of *aor*: by a rule of *aor*, or by the default of the topology."""
    rule = in_force.homes.watcher_rule(aor, watcher)
    if rule is not None:
        return rule
    presence = in_force.view.loaded.topology.presence
    is_inside = watcher.rpartition("@")[2] in in_force.view.sip_domains
    return presence.inside if is_inside else presence.partners
