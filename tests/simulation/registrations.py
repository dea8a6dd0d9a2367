"""Registrations: what was answered with 200 is known on each server of the pool, as long as its link is up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulation.organisations import FRONT_ENDS
from simulation.processes import ProcessState
from sipmesh.server.proxy.registrar.binding_lookups import LOOKUP_S, MOST_READS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulation.phone import Phone
    from simulation.server import Server
    from simulation.world import World
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.running.running_server import RunningServer

SLACK_S: Final = 4.0
"""For delays of the network, and for the half second between two looks at the timers."""

LEASE_BACK_S: Final = 6.0
"""Within this time after a server has hung, it has renewed its lease, and stored its registrations again."""


class Registrations:
    """The registrations of the phones, as the servers know them."""

    def __init__(self, world: World) -> None:
        self.world = world

    def each_second(self) -> None:
        """Look at each phone, and at each server."""
        for phone in self.world.phones:
            self.must_be_visible(phone)
        for server, node in self.world.nodes():
            self._have_links(server, node)

    def at_rest(self) -> None:
        """The store of a pool has no row that is no registration."""
        for pool, store in self.world.stores.items():
            registered = sum(
                len(node.registrations.here(500, ("", "")))
                for _, node in self.world.nodes()
                if node.view.pool.name == pool
            )
            if store.count() > registered:
                self.world.violated("nothing grows", f"{store.count()} rows of {pool}, for {registered} registrations")

    def must_be_visible(self, phone: Phone) -> None:
        """A registration that was answered with 200 is known on every server of the pool, as long as its link is up there."""
        sock = phone.sock
        end = sock.peer if sock is not None else None
        if self.world.operations.is_moving(phone.aor):
            return
        if end is None or end.process is None or end.closed or end.error or end.eof or not end.process.alive:
            return
        if any(asked.method == "REGISTER" and not asked.finals for asked in phone.pending.values()):
            return
        wanted = phone.is_registered
        if not wanted and not phone.unregistered_at and not self._has_lapsed(phone):
            return
        home = end.process
        if home.state is not ProcessState.RUNNING or self.world.loop.now - home.hung_until < LEASE_BACK_S:
            return  # its rows may have ended with its lease, and are about to be stored again
        since = (phone.registered_at, phone.unregistered_at)
        for server, node in self.world.nodes():
            if server.name in phone.servers and (phone.aor in self.world.operations.removed) is False:
                known = node.registrations.bindings(phone.aor, node.loop.time())
                if known is not None:
                    self._hold(phone, server, known, wanted=wanted)
                    continue
                self.world.inside(server, self._look_up, phone, server, node, since)

    def _has_lapsed(self, phone: Phone) -> bool:
        """Tell whether the time of a registration is over (RFC 3261 10.3), and each server has had time to drop it."""
        now, calm_s = self.world.loop.now, self.world.calm_of(*phone.servers)
        return bool(phone.registered_at) and now > phone.registered_until + SLACK_S and calm_s > 2 * SLACK_S

    def _look_up(self, phone: Phone, server: Server, node: RunningServer, since: tuple[float, float]) -> None:
        """Look at the rows once the server has read them, unless they have changed meanwhile.

        A server whose store takes too long goes on with the rows of its own flows (`BindingLookups`).
        """
        sock, slow_s, wanted = phone.sock, server.process.slow_s, phone.is_registered

        def found(rows: Sequence[Binding] | None) -> None:
            end = sock.peer if sock is not None else None
            gone = end is None or end.process is None or end.closed or end.error or end.eof or not end.process.alive
            changed = phone.sock is not sock or since != (phone.registered_at, phone.unregistered_at)
            changed = changed or wanted is not phone.is_registered
            asks = any(asked.method == "REGISTER" and not asked.finals for asked in phone.pending.values())
            removed = phone.aor in self.world.operations.removed or self.world.operations.is_moving(phone.aor)
            takes_long = max(slow_s, server.process.slow_s) * MOST_READS >= LOOKUP_S
            own_only = takes_long and rows is not None and all(row.server == server.name for row in rows)
            if rows is not None and not (gone or changed or asks or removed or own_only) and server.serves:
                self._hold(phone, server, rows, wanted=phone.is_registered)

        node.registrations.look_up(phone.aor, found)

    def _hold(self, phone: Phone, server: Server, known: Sequence[Binding], *, wanted: bool) -> None:
        if any(phone.name in binding.contact for binding in known) is not wanted:
            what = "is not known" if wanted else "is still known"
            self.world.violated("an answered REGISTER holds", f"{phone.name} of {phone.server} {what} on {server.name}")

    def _have_links(self, server: Server, node: RunningServer) -> None:
        """A registration ends with its link."""
        if server.name in FRONT_ENDS:
            flows = {flow.number for flow in node.flow_table.sessions()}
            for row in node.registrations.here(500, ("", "")):
                if row.flow not in flows:
                    self.world.violated("each registration has its link", f"{row.contact} on {server.name}")
