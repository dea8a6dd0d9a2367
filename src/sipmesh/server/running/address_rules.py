"""Whose an address is, by the topology in force: a user of our pool, somebody at a partner, or nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.server.proxy.login.home_pools import HomePools
    from sipmesh.topology.document.watching import Watching
    from sipmesh.topology.view import ServerView


class AddressRules:
    """What the server of *view* says of addresses; *homes* knows the home pools of our users."""

    def __init__(self, view: ServerView, homes: HomePools) -> None:
        self._view, self._homes = view, homes

    def __repr__(self) -> str:
        return f"<AddressRules of {self._view.name}>"

    def apply_view(self, view: ServerView) -> None:
        """Use another topology from now on."""
        self._view = view

    def partner_of(self, domain: str) -> str:
        """Return the name of the partner that *domain* belongs to; "" for our own and for unknown domains."""
        partner = self._view.partner_for(domain)
        return partner.peer.name if partner is not None else ""

    def watching(self, aor: str, watcher: str) -> Watching:
        """Return what *watcher* may see of the presence of *aor*: by a rule of *aor*, or by the default of the topology."""
        rule = self._homes.watcher_rule(aor, watcher)
        if rule is not None:
            return rule
        presence = self._view.loaded.topology.presence
        is_inside = watcher.rpartition("@")[2] in self._view.sip_domains
        return presence.inside if is_inside else presence.partners

    def is_ours(self, aor: str) -> bool:
        """Return whether *aor* may be at home in our pool."""
        return not self._homes.knows(aor) or self._homes.of(aor) == self._view.pool.name

    def may_exist(self, aor: str) -> bool:
        """Return whether *aor* may be an address of somebody: of a user of ours, or in a domain that a peer may assert."""
        view, domain = self._view, aor.rpartition("@")[2]
        if domain in view.sip_domains:
            return not self._homes.knows(aor) or self._homes.of(aor) is not None
        if domain in view.blocked:
            return False
        return bool(self.partner_of(domain)) or any(domain in peer.asserts for peer in view.trusted.values())
