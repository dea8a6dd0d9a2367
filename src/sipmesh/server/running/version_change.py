"""Another version comes into force: one assignment, and all that follows from the difference, in order, on this page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.server.running.server_setup import advertised_by
from sipmesh.topology.document.listeners import TRUNK_PORT
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.server.running.server_parts import ServerParts
    from sipmesh.server.running.server_setup import ServerSetup
    from sipmesh.topology.view import ServerView


class VersionChange:
    """Puts another value in force on one server."""

    def __init__(self, setup: ServerSetup, parts: ServerParts) -> None:
        self._setup, self._parts, self._begun = setup, parts, setup.current.value.view

    @property
    def awaits_restart(self) -> str:
        """What of the version in force this process can only use from its next start; "" if nothing."""
        found = needs_restart(self._begun, self._setup.current.value.view)
        return "; ".join(why.partition(":")[0] for why in found)

    def put(self, new: InForce) -> list[str]:
        """Judge every live link by *new*, and close those that are refused now; returns their ids.

        A new certificate of ours is used if our peers would accept it; otherwise the old one stays in use. Raises
        `OperatorError`, and changes nothing, if this server has another role in *new*.
        """
        setup, old, view = self._setup, self._setup.current.value, new.view
        if view.role is not old.view.role:
            raise OperatorError(f"{view.name} would become an {view.role}: restart this server in its new role")
        for warning in needs_restart(old.view, view):
            setup.log.warning(warning)
        setup.outside.sources.follow(view.loaded)  # it carries over the CRLs and OCSP responses that were fetched
        self._parts.links.revocation.keep_pushed(view.loaded)
        setup.current.value = new.taking_over(old.homes.taken)
        self._change_this_server(view)
        self._parts.forwarding.calls.records.follow()
        self._parts.forwarding.history.follow()
        closed = self._judge_peers()
        self._parts.users.takeovers.look_anew()
        self._parts.events.notifier.rules_changed()
        setup.outside.follower.version_changed()
        return closed + self._parts.users.logins.close_changed()

    def _change_this_server(self, view: ServerView) -> None:
        """Use the name servers, certificates, addresses and the stores of the pool that *view* names."""
        self._parts.links.resolver.change(*view.dns_servers)
        self._parts.peers.certificates.read_again()
        self._parts.links.listening.change(view.listeners)
        self._setup.advertised |= {key: one for key, one in advertised_by(view).items() if key.startswith(TRUNK_PORT)}
        self._setup.stores.know_servers(view)

    def _judge_peers(self) -> list[str]:
        """End the links and flows of those who are refused now, and give all others their present rights."""
        self._parts.peers.siblings.judge_again()
        self._parts.relays.home_flows.end_uncarried()
        closed = self._parts.links.judge_again()
        self._parts.peers.flow_table.judged_anew()
        return closed


def needs_restart(old: ServerView, new: ServerView) -> Iterator[str]:
    """Tell what of *new* a process can only use from its start."""
    if _ports(new) != _ports(old):
        yield "published addresses or ports differ: restart this server to use them"
    if new.workers != old.workers:
        yield "the published number of workers differs: restart this server to use it"
    if new.pool.name != old.pool.name:
        yield "the published pool of this server differs: restart it to use the keys and registrations there"
    if old.role is Role.FRONT_END and new.stores != old.stores:
        yield "the published stores differ: restart this server to use them"


def _ports(view: ServerView) -> tuple[object, ...]:
    return view.listeners, view.metrics, view.metrics_tls, view.publish_lists
