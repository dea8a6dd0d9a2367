"""What fencing promises: each number has one leader, and nothing counts that an overtaken leader has signed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from simulation.organisations import FRONT_ENDS, MANAGEMENT
from sipmesh.server.replication.fencing import HighestFencing
from sipmesh.trust.formatting import tell_subject

if TYPE_CHECKING:
    from datetime import datetime

    from simulation.databases import VirtualConnection
    from simulation.processes import Process
    from simulation.server import Server
    from simulation.world import World
    from sipmesh.server.management.controller import Controller
    from sipmesh.topology.versions.jose import Signed

TAKEN_OVER_S: Final = 4.0
"""Within this time after a new server leads, it has published: that is within 10 s after the end of the leader before."""

LINKED_S: Final = 8.0
"""Within this time without trouble a front end has a link to the leader: it is dialled every 5 s."""

OF_EACH: Final = frozenset({"management_lease", "management_pool", "management_clocks", "users_version"})
"""What each management server writes, under each leader: who leads, what it says of itself, and the row that it locks to read."""

GIVEN_BACK_S: Final = 6.0
"""Within this time a server that does not lead any more has closed its control links."""

Accept = Callable[[HighestFencing, "Signed", "datetime"], None]


class Leaders:
    """Who has signed under which fencing number, as servers have accepted it over all their runs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._signer_of: dict[int, str] = {}
        self._highest: dict[str, int] = {}
        self._digest_of: dict[int, str] = {}
        self._led_at: dict[str, float] = {}
        self._leads_since: tuple[int, float] = (0, 0.0)

    def told(self, accept: Accept) -> Accept:
        """Return *accept* that tells us of each document which a server accepts."""

        def tell(highest: HighestFencing, signed: Signed, at: datetime) -> None:
            accept(highest, signed, at)
            self._accepted(highest.file.stem, signed.fencing, tell_subject(signed.chain[0]))

        return tell

    def _accepted(self, server: str, fencing: int, signer: str) -> None:
        known = self._signer_of.setdefault(fencing, signer)
        if known != signer:
            self.world.violated("one leader for each number", f"{known} and {signer} have signed with number {fencing}")
        before = self._highest.get(server, 0)
        if fencing < before:
            what = f"{server} accepts number {fencing} of {signer} after number {before}"
            self.world.violated("an overtaken leader signs nothing that counts", what)
        self._highest[server] = max(before, fencing)

    def started(self, server: Server) -> None:
        """A server has started: it still has the highest number on its disk, which it compares with each document."""
        number = number_on_disk(self.world, server.name)
        before = self._highest.get(server.name, 0)
        if number < before and not self.world.has_happened("fill_disk"):
            self.world.violated("a server keeps the highest number", f"{server.name} has {number} after {before}")

    def has_written(self, connection: VirtualConnection, process: Process) -> None:
        """A process commits to a database server: to that of management, only the leader does."""
        if connection.path.stem != MANAGEMENT or connection.written <= OF_EACH:
            return
        row = sqlite3.Connection.execute(connection, "SELECT holder FROM management_lease").fetchone()
        if row is not None and row[0] and row[0] != process.name:
            what = f"{process.name} writes to {', '.join(sorted(connection.written))}, and {row[0]} leads"
            self.world.violated("an overtaken leader writes nothing", what)

    def rejoined(self, server: str) -> None:
        """An operator has joined a server again: what it has seen before does not count any more."""
        self._highest.pop(server, None)

    def each_second(self) -> None:
        """Two servers never lead under one number, and a version is the same wherever it is in force."""
        leading: dict[int, str] = {}
        for server, controller in self.world.controllers():
            fencing = controller.management_db.lease.fencing
            if fencing and leading.setdefault(fencing, server.name) != server.name:
                self.world.violated("one leader for each number", f"two servers lead under number {fencing}")
            self._only_the_leader_has_links(server, controller)
        for server, node in self.world.nodes():
            loaded = node.view.loaded
            if server.name in FRONT_ENDS and not server.process.number:
                self._refuses_earlier_leaders(server)
            if loaded.number and self._digest_of.setdefault(loaded.number, loaded.digest) != loaded.digest:
                self.world.violated("each version has one content", f"{loaded.number} differs on {server.name}")

    def _refuses_earlier_leaders(self, server: Server) -> None:
        """Some seconds after another server leads, a front end refuses what the leader before signs."""
        leader, now = self.world.leader, self.world.loop.now
        number = leader[1].management_db.lease.fencing if leader is not None else 0
        if number != self._leads_since[0]:
            self._leads_since = number, now
        if leader is None or now - self._leads_since[1] < TAKEN_OVER_S:
            return
        if (
            self.world.calm_of(server.name, leader[0].name) > LINKED_S
            and number_on_disk(self.world, server.name) < number
        ):
            what = f"{server.name} has not heard of number {number} of {leader[0].name}"
            self.world.violated("a new leader is known", what)

    def _only_the_leader_has_links(self, server: Server, controller: Controller) -> None:
        """A management server that follows gives no documents to a front end."""
        now = self.world.loop.now
        if controller.leadership.leads or server.process.hung_until > now - GIVEN_BACK_S:
            self._led_at[server.name] = now
        elif now - self._led_at.get(server.name, now) > GIVEN_BACK_S and controller.linked:
            what = f"{server.name} has {', '.join(controller.linked)}"
            self.world.violated("only the leader has control links", what)

    def at_rest(self) -> None:
        """One server leads."""
        if self.world.leader is None:
            self.world.violated("one management server leads", "nobody does")


def number_on_disk(world: World, server: str) -> int:
    """Return the highest fencing number that a server has stored, 0 if there is none."""
    file = world.folders.of(server) / "servers" / f"{server}.fencing"
    return int(file.read_bytes()) if file.exists() else 0
