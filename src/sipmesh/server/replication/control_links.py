"""The links that this server keeps up to send signed documents to other servers: one for each, not used for calls."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.server.replication.link_fault import OUT_OF_REACH, LinkFault
from sipmesh.transport.hop import Hop
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import BORDERS

if TYPE_CHECKING:
    import asyncio

    from sipmesh.topology.view import ServerView
    from sipmesh.transport.link.link import Link

AGREE_S = 5.0
"""Two handshakes that differ by this much, in seconds, show the same clock."""

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
STARTING_DIALS = 4
"""Dials that may fail before a server is out of reach: those of the first three seconds, in which a server starts."""
"""Seconds; a server that was down is dialled again within this time, after any failure."""


OPENED_AT_ONCE = 20
BETWEEN_OPENED_S = 0.01
"""New links are opened in groups, with a pause in seconds between two groups: 2,000 links in a second."""


@dataclass(slots=True)
class ControlLink:
    """A server to keep a link to; *pause* is the wait in seconds after the next failure.

    *dials* counts the links that were dialled, *failed* is the number of the last dial that has failed. *ahead_s* are the
    seconds by which the last handshake has shown the server's clock ahead of ours.
    """

    hop: Hop
    link: Link | None = None
    pause: float = FIRST_PAUSE_S
    waits: asyncio.TimerHandle | None = None
    fault: LinkFault | None = None  # why the last link closed; None while a link is up
    dials: int = 0
    failed: int = 0
    ahead_s: float | None = None

    def clock_ahead_s(self, shown: float | None) -> float:
        """Return *shown* if the handshake before has shown the same: what advances as our clock is a clock.

        0.0 if it has not, or if both clocks agree: then the refusal has another cause.
        """
        before, self.ahead_s = self.ahead_s, shown
        return shown if shown is not None and agree(shown, before) and not agree(shown, 0.0) else 0.0


def agree(seconds: float, others: float | None) -> bool:
    """Return whether two handshakes have shown the same clock."""
    return others is not None and abs(seconds - others) <= AGREE_S


class ControlLinks:
    """Keeps a control link to each of some servers, and dials again when a link has closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dial: Callable[[Hop], Link]) -> None:
        self._loop, self._dial = loop, dial
        self._links: dict[str, ControlLink] = {}
        self._unopened: deque[str] = deque()
        self._opens: asyncio.TimerHandle | None = None

    def keep(self, hops: Mapping[str, Hop]) -> None:
        """Keep links to these servers from now on, and to no others; *hops* are by server name."""
        for name in [name for name in self._links if name not in hops]:
            self._end(self._links.pop(name))
        for name, hop in hops.items():
            entry = self._links.get(name)
            if entry is None:
                self._links[name] = ControlLink(hop)
                self._unopened.append(name)
            elif entry.hop != hop:
                entry.hop, entry.pause = hop, FIRST_PAUSE_S
                if entry.link is None:
                    self._open(entry)

        if self._opens is None:
            self._open_some()

    def _open_some(self) -> None:
        """Open a few new links, and the next links soon: to open thousands would occupy the loop for a second."""
        self._opens = None
        for _ in range(min(OPENED_AT_ONCE, len(self._unopened))):
            entry = self._links.get(self._unopened.popleft())
            if entry is not None and entry.link is None and entry.waits is None:
                self._open(entry)
        if self._unopened:
            self._opens = self._loop.call_later(BETWEEN_OPENED_S, self._open_some)

    def _end(self, entry: ControlLink) -> None:
        if entry.waits is not None:
            entry.waits.cancel()
        if entry.link is not None:
            link, entry.link = entry.link, None
            link.drain()

    def _open(self, entry: ControlLink) -> None:
        if entry.waits is not None:
            entry.waits.cancel()
            entry.waits = None
        entry.dials += 1
        entry.link = self._dial(entry.hop.for_control())

    def dial(self, names: Iterable[str]) -> Callable[[], frozenset[str]]:
        """Dial those of *names* at once that wait for their next dial.

        The function that this returns gives the servers that cannot be reached, as dials have shown that have begun since.
        """
        before: dict[str, int] = {}
        for name in names:
            if (entry := self._links.get(name)) is not None:
                before[name], entry.pause = entry.dials, FIRST_PAUSE_S
                if entry.waits is not None:
                    self._open(entry)
        return lambda: frozenset(name for name, dials in before.items() if self._is_out_of_reach(name, dials))

    def _is_out_of_reach(self, name: str, dials: int) -> bool:
        """Tell whether the dials after the first *dials* have found no server, also once it has had the time to start."""
        entry = self._links.get(name)
        return (
            entry is not None
            and entry.failed > dials + STARTING_DIALS
            and entry.fault is not None
            and entry.fault.code in OUT_OF_REACH
        )

    def dial_again(self) -> None:
        """Dial all servers at once that wait for their next dial; why the last one has failed is forgotten."""
        for entry in self._links.values():
            if entry.waits is not None:
                entry.pause, entry.fault = FIRST_PAUSE_S, None
                self._open(entry)

    def has(self, link: Link) -> bool:
        """Return whether *link* is one of these links."""
        return any(entry.link is link for entry in self._links.values())

    def up(self, link: Link) -> None:
        """A link came up: the pause after its next failure is the shortest one.

        A server whose clock is still wrong may refuse it after our handshake: its fault stays.
        """
        for entry in self._links.values():
            if entry.link is link:
                entry.pause = FIRST_PAUSE_S
                if entry.fault is not None and not (entry.fault.ahead_s and agree(entry.fault.ahead_s, link.ahead_s)):
                    entry.fault = None

    def gone(self, link: Link, why: str) -> None:
        """A link has closed: dial again after a pause, which doubles with each failure."""
        for entry in self._links.values():
            if entry.link is link:
                ahead_s = entry.clock_ahead_s(link.ahead_s)
                entry.link, entry.fault, entry.failed = None, LinkFault.of(link, why, ahead_s), entry.dials
                entry.waits = self._loop.call_later(entry.pause, self._open, entry)
                entry.pause = min(2 * entry.pause, LONGEST_PAUSE_S)

    @property
    def faults(self) -> Mapping[str, LinkFault]:
        """Why there is no link to a server, by name; without those to which there is one."""
        return {name: entry.fault for name, entry in self._links.items() if entry.fault is not None}

    def fault_of(self, name: str) -> LinkFault | None:
        """Return why there is no link to *name*; None if there is one, or if there should be none."""
        entry = self._links.get(name)
        return entry.fault if entry is not None else None

    def close(self) -> None:
        """Stop opening links."""
        self._unopened.clear()
        for entry in self._links.values():
            if entry.waits is not None:
                entry.waits.cancel()
            entry.link = None
        self._links.clear()


def hop_to(view: ServerView, server: str) -> Hop:
    """Return the hop to the server port of one of our servers."""
    return Hop(server, LinkKind.SERVER, (view.addresses[server],))


def hops_to(view: ServerView, servers: Iterable[str]) -> Mapping[str, Hop]:
    """Return the hops to several servers, by name, without this server."""
    return {name: hop_to(view, name) for name in servers if name != view.name}


def carriers(view: ServerView, server: str) -> tuple[str, ...]:
    """Return who is given an order for *server*: itself, or for an edge or a gateway the front ends of its next hop."""
    pool = next(pool for pool in view.pools.values() if server in pool.servers)
    if pool.role not in BORDERS:
        return (server,)
    behind = view.pools.get(pool.next_hop or "")
    return tuple(behind.servers) if behind is not None else ()


def edges_behind(view: ServerView, pool: str) -> frozenset[str]:
    """Return the edges and gateways whose next hop is *pool*: its front ends pass management's documents on to them."""
    pools = (known for known in view.pools.values() if known.role in BORDERS and known.next_hop == pool)
    return frozenset(name for known in pools for name in known.servers)
