"""What fencing promises: each number has one leader, and nothing counts that an overtaken leader has signed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.server.replication.fencing import HighestFencing
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.formatting import tell_subject

if TYPE_CHECKING:
    from datetime import datetime

    from simulation.world import Server, World
    from sipmesh.server.management.controller import Controller
    from sipmesh.topology.versions.jose import Signed

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
        file = self.world.folders.of(server.name) / "servers" / f"{server.name}.fencing"
        number = int(file.read_bytes()) if file.exists() else 0
        before = self._highest.get(server.name, 0)
        if number < before and not self.world.has_happened("fill_disk"):
            self.world.violated("a server keeps the highest number", f"{server.name} has {number} after {before}")

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
            if loaded.number and self._digest_of.setdefault(loaded.number, loaded.digest) != loaded.digest:
                self.world.violated("each version has one content", f"{loaded.number} differs on {server.name}")

    def _only_the_leader_has_links(self, server: Server, controller: Controller) -> None:
        """A management server that follows has no link to a front end."""
        now = self.world.loop.now
        if controller.leadership.leads or server.process.hung_until > now - GIVEN_BACK_S:
            self._led_at[server.name] = now
        elif now - self._led_at.get(server.name, now) > GIVEN_BACK_S and server.node is not None:
            up = [link for link in server.node.pool.all() if link.state is LinkState.UP]
            if up:
                self.world.violated("only the leader has control links", f"{server.name} has {up[0]!r}")

    def at_rest(self) -> None:
        """One server leads."""
        if self.world.leader is None:
            self.world.violated("one management server leads", "nobody does")
