"""Whether new links to the applications and the partners of this server work; management shows those that do not.

A server of ours reports for itself. An application or a partner does not, so a server that opens links to it tries one link from
time to time, and has an OPTIONS request answered on it. Each try uses a new link: a link that is up may be older than the fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.server.agent.probing.link_probes import PATIENCE_S, Attempt, hop_of
from sipmesh.server.agent.probing.spent_links import SpentLinks
from sipmesh.server.replication.link_fault import LinkFault
from sipmesh.server.replication.server_status import MOST_PEER_FAULTS, PeerFault, PeerKind
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterable, Iterator

    from sipmesh.distribution.event import Here
    from sipmesh.server.agent.managed_server import ManagedServer
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link.link import Link

FIRST_S: Final = 10.0
"""Seconds from the start, or from the version that adds a peer, to its first check: the peer may start at the same time."""

EVERY_S: Final = {PeerKind.APPLICATION: 30.0, PeerKind.PARTNER: 60.0}
"""Seconds between two checks. A check is one TLS handshake."""

AGAIN_S: Final = 30.0
"""Seconds between two checks of a peer with a fault."""


@dataclass(slots=True)
class CheckedPeer:
    """One application or partner: it is checked at the loop time *due*; *fault* is what the last check has found."""

    name: str
    kind: PeerKind
    due: float
    attempt: Attempt | None = None
    fault: LinkFault | None = None

    def finished(self, now: float, spent: SpentLinks) -> bool:
        """Tell whether the check has ended at the loop time *now*; then *fault* is its result, and its link is *spent*."""
        result = self.attempt.result(now) if self.attempt is not None else None
        if self.attempt is None or result is None:
            return False
        spent.add(self.attempt.link)
        self.fault = None if result[0] else LinkFault.of(self.attempt.link, result[1])
        self.attempt = None
        self.due = now + (AGAIN_S if self.fault else EVERY_S[self.kind])
        return True


class PeerChecks:
    """The checks of one server; *dial* opens a link, *changed* is called when a fault begins or ends."""

    def __init__(
        self,
        server: ManagedServer,
        here: Here,
        dial: Callable[[Hop], Link],
        changed: Callable[[], None],
        loop: AbstractEventLoop,
    ) -> None:
        self._server, self._here, self._dial, self._changed, self._loop = server, here, dial, changed, loop
        self._view: ServerView | None = None
        self._peers: dict[str, CheckedPeer] = {}
        self._is_closed = False
        self._spent = SpentLinks(loop.time)

    @property
    def faults(self) -> tuple[PeerFault, ...]:
        """The peers to which no link works now."""
        faulty = [(peer, peer.fault) for peer in self._peers.values() if peer.fault is not None]
        return tuple(PeerFault.of(peer.name, peer.kind, fault) for peer, fault in faulty[:MOST_PEER_FAULTS])

    def tick(self) -> None:
        """Note which checks have ended, and begin those that are due; called about twice a second."""
        if self._is_closed:
            return
        self._spent.tick()
        now, view = self._loop.time(), self._server.view
        if view is not self._view:
            self._follow(view, now)
        for peer in self._peers.values():
            before = peer.fault
            if peer.attempt is not None and peer.finished(now, self._spent) and before != peer.fault:
                self._changed()
            if peer.attempt is None and now >= peer.due:
                peer.attempt = self._begin(view, peer, now)

    def _follow(self, view: ServerView, now: float) -> None:
        """Check the peers of *view* from now on; those that stay keep their result, and a new version has each checked soon."""
        self._view, known = view, self._peers
        for peer in known.values():
            peer.due = min(peer.due, now + FIRST_S)
        names = {name: kind for name, kind in peers_of(view) if _may_open(view, name)}
        self._peers = {name: known.get(name) or CheckedPeer(name, kind, now + FIRST_S) for name, kind in names.items()}
        _drain(peer for name, peer in known.items() if name not in names)

    def _begin(self, view: ServerView, peer: CheckedPeer, now: float) -> Attempt:
        hop = hop_of(view, peer.name)
        link = self._dial(hop)
        link.is_trial = True
        link.send(self._here.first("OPTIONS", hop.name, []).encode())
        return Attempt(link, now + PATIENCE_S)

    def close(self) -> None:
        """Check nothing more."""
        self._is_closed = True
        self._spent.close()
        _drain(self._peers.values())
        self._peers.clear()


def _drain(peers: Iterable[CheckedPeer]) -> None:
    for peer in peers:
        if peer.attempt is not None:
            peer.attempt.link.drain()


def peers_of(view: ServerView) -> Iterator[tuple[str, PeerKind]]:
    """Give the applications behind this front end, or the partners of this edge or gateway."""
    for pool in view.pools.values():
        if pool.role is Role.APPLICATION and pool.next_hop == view.pool.name:
            yield from ((name, PeerKind.APPLICATION) for name in pool.servers)
    if view.role in BORDERS:
        yield from ((partner.name, PeerKind.PARTNER) for partner in view.partners)


def _may_open(view: ServerView, name: str) -> bool:
    try:
        hop_of(view, name)
    except RemoteError:
        return False
    return True
