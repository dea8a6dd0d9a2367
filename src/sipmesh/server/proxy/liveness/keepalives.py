"""Liveness of links between servers: a keepalive where nothing has come for a second, and the end where no answer comes.

RFC 5626 4.4.1: the side that opened a link sends the double CRLF, and the other side answers with a single one. So the opener
probes, each second in which nothing has come or nothing has gone out. The acceptor probes nothing: it counts the keepalives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle

    from sipmesh.server.proxy.liveness.outages import Outages
    from sipmesh.transport.limits import Limits
    from sipmesh.transport.link.link import Link

LOOK_S: Final = 0.25
"""Seconds between two looks at the links."""

LONGEST_LOOK_S: Final = 0.5
"""What counts of the time between two looks. Where our own loop took longer, we did not read: no peer is judged by that."""

SILENT: Final = "the peer does not answer keepalives"

ANSWERS: Final = frozenset({Role.FRONT_END, *BORDERS, Role.MANAGEMENT})
"""Roles whose servers run this program: it answers keepalives, and sends one each second on the links that it has opened. An
application may be of another make: Asterisk sends a keepalive each 90 s, and answers none."""

ANSWERED_IN_A_ROW: Final = 2
"""Keepalives in a row after each of which one has come: then the peer answers them, and does not send its own now and then."""


class LinkLiveness:
    """One link: the octets that had come and gone at the last look, and when some did; instants as of `Liveness.now`.

    *answered* counts the keepalives in a row that the peer has answered, up to `ANSWERED_IN_A_ROW`.
    """

    __slots__ = (
        "answered",
        "blocked",
        "heard_at",
        "keepalives_in",
        "link",
        "octets_in",
        "octets_out",
        "probed",
        "sent_at",
    )

    def __init__(self, link: Link, now: float) -> None:
        self.link = link
        self.heard_at = self.sent_at = now
        self.octets_in = self.octets_out = 0
        self.probed = self.blocked = False
        self.answered = self.keepalives_in = 0

    def look(self, now: float) -> bool:
        """Note what has come and gone since the last look; True if the peer has shown that it lives.

        A peer that takes octets from a full socket reads, though it says nothing meanwhile.
        """
        link, blocked = self.link, self.blocked
        heard, sent = link.bytes_in != self.octets_in, link.bytes_out != self.octets_out
        self.octets_in, self.octets_out, self.blocked = link.bytes_in, link.bytes_out, link.blocked
        if sent:
            self.sent_at = now
        if heard or (sent and blocked):
            self.heard_at, self.probed = now, False
            return True
        return False

    def needs_probe(self, now: float, probe_s: float) -> bool:
        """Tell whether a keepalive is due, on a link that we opened."""
        if self.link.direction is not Direction.OPENED:
            return False
        return now - self.sent_at >= probe_s or (not self.probed and now - self.heard_at >= probe_s)

    def probe(self) -> None:
        """Send a keepalive, and note whether the keepalive before was answered."""
        link = self.link
        if self.answered < ANSWERED_IN_A_ROW:
            self.answered = self.answered + 1 if link.keepalives_in > self.keepalives_in else 0
        self.keepalives_in, self.probed = link.keepalives_in, True
        link.ping()

    @property
    def counts(self) -> bool:
        """Whether the silence of the peer means that it is gone.

        On a link that we opened, it does if the peer answers keepalives. On a link that the peer opened, it does if the
        peer is of ours and has sent a keepalive: others send them as seldom as they like. The kernel finds out about
        the rest (`probe_often`).
        """
        link = self.link
        peer = link.verdict.peer if link.verdict is not None else None
        is_ours = peer is not None and peer.role in ANSWERS
        if link.direction is Direction.OPENED:
            return is_ours or self.answered == ANSWERED_IN_A_ROW
        return is_ours and link.keepalives_in > 0

    @property
    def is_evidence(self) -> bool:
        """Whether the link is in use, and tells by its silence that the peer is gone."""
        return self.link.usable and self.counts and tells_of_server(self.link)


class Liveness:
    """Probes every link between servers of ours, and ends those whose peer is silent.

    *now* is the time in seconds that counts: that of the loop, without the part of long turns in which nothing was read.
    """

    def __init__(self, loop: AbstractEventLoop, limits: Limits, outages: Outages) -> None:
        self._loop, self._limits, self._outages = loop, limits, outages
        self._watched: dict[int, LinkLiveness] = {}
        self._looked_at = 0.0
        self._timer: TimerHandle | None = None
        self.now = 0.0

    def link_up(self, link: Link) -> None:
        """Watch *link* from now on, if its peer is a server of ours. The first probe says that more will follow."""
        if link.kind is not LinkKind.SERVER:
            return
        self._watched[link.number] = LinkLiveness(link, self.now)
        if link.direction is Direction.OPENED:
            link.ping()
        elif tells_of_server(link):
            self._outages.answered(link.peer_name)
        if self._timer is None:
            self._looked_at = self._loop.time()
            self._look_later()

    def link_down(self, link: Link) -> None:
        """*link* is gone."""
        self._watched.pop(link.number, None)
        if not self._watched:
            self.close()

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Look at every link: it has answered, needs a probe, or has been silent for too long."""
        at = self._loop.time()
        self.now += min(at - self._looked_at, LONGEST_LOOK_S)
        self._looked_at = at
        for watched in list(self._watched.values()):
            self._look_at(watched)

    def _look_later(self) -> None:
        self._timer = self._loop.call_later(LOOK_S, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self.look()
        if self._watched:
            self._look_later()

    def _look_at(self, watched: LinkLiveness) -> None:
        link, now, limits = watched.link, self.now, self._limits
        if not link.usable:
            return
        if watched.look(now):
            if self._outages.names and tells_of_server(link):
                self._outages.answered(link.peer_name)
        elif now - watched.heard_at >= limits.probe_s + limits.probe_answer_s and watched.counts:
            if tells_of_server(link) and not self._hears(watched, now):
                self._outages.silent(link.peer_name, SILENT)
            link.close(SILENT)
        elif watched.needs_probe(now, limits.probe_s):
            watched.probe()

    def _hears(self, silent: LinkLiveness, now: float) -> bool:
        """Tell whether the peer of a *silent* link has been heard since on another link, whose silence would count too.

        Then that link alone is gone. A server that hangs is found out by the link that was heard last, and not later for this.
        """
        name, limits = silent.link.peer_name, self._limits
        since = now - limits.probe_s - limits.probe_answer_s
        return any(
            other is not silent and other.heard_at > since and other.link.peer_name == name and other.is_evidence
            for other in self._watched.values()
        )


def tells_of_server(link: Link) -> bool:
    """Tell whether the octets and the silence on *link* say that its server serves requests, or does not.

    A control link of a server with workers has its supervisor at the other end, or one worker of several.
    """
    peer = link.verdict.peer if link.verdict is not None else None
    return not link.is_control or peer is None or peer.processes == 1
