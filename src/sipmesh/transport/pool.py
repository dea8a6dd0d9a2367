"""The links of one server, kept and reused by proved identity and kind, never by address."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sipmesh.transport.link.link import Link
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.evidence import Direction

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection

    from sipmesh.transport.connector import Connector
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.limits import Limits
    from sipmesh.transport.reactor.reactor import Reactor
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.verdict import Verdict
    from sipmesh.trust.x509.certificate import CertificateId


class LinkPool:
    """Finds a link for a hop, or opens one; closes links whose peer is no longer accepted.

    *trials* opens links to servers that do not answer.
    """

    def __init__(
        self, reactor: Reactor, connector: Connector, limits: Limits | None = None, trials: Connector | None = None
    ) -> None:
        self._reactor, self._connector, self._trials = reactor, connector, trials or connector
        self._limits = limits or reactor.limits

    def obtain(self, hop: Hop) -> Link:
        """Return a link to the identity that *hop* means; dial one if there is none.

        The link may be a link that the peer opened, if its verdict proved that identity (RFC 5923). It may also be a
        link that is still being opened: it queues the messages. If more than ``busy_bytes`` wait on the best link,
        another link is opened beside it. A reserved link is never returned.
        """
        return self._best_of(hop, None)

    def has(self, hop: Hop) -> bool:
        """Tell whether `obtain` would find a link to the identity that *hop* means, without dialling."""
        links = cast("list[Link]", self._reactor.links.of(hop.name, hop.kind))
        return any(link.usable and not link.reserved for link in links)

    def obtain_past(self, hop: Hop, past: Link) -> Link:
        """Return a link to the same identity at another address than that of the link *past*; dial one if there is none.

        The link that is returned has failed if no other address is known.
        """
        return self._best_of(hop, past)

    def dial(self, hop: Hop) -> Link:
        """Open a link, also if there are others."""
        return self._connector.dial(hop)

    def try_out(self, hop: Hop) -> Link:
        """Open a link to a server that does not answer: the attempt ends soon."""
        return self._trials.dial(hop)

    def _best_of(self, hop: Hop, past: Link | None) -> Link:
        best: Link | None = None
        opened = 0
        for link in cast("list[Link]", self._reactor.links.of(hop.name, hop.kind)):
            if link.usable and not link.reserved and (past is None or is_elsewhere(link, past)):
                opened += link.direction is Direction.OPENED
                if best is None or _rank(link) <= _rank(best):  # of two equal links the newer one, which lasts longer
                    best = link
        if best is None or (best.pending_out > self._limits.busy_bytes and opened < self._limits.links_opened_per_peer):
            return self._connector.dial(hop, past)
        return best

    def all(self) -> list[Link]:
        """List every link that is being opened or is up."""
        return cast("list[Link]", list(self._reactor.links))

    def by_id(self, link_id: str) -> Link | None:
        """Return the link with the id that logs and console show, or None."""
        link = self._reactor.links.get(link_id)
        return link if isinstance(link, Link) else None

    def rejudge(self, judge: Callable[[Link, PeerEvidence], Verdict]) -> list[Link]:
        """Judge every live link again on its evidence; close those that are refused now; return the closed links."""
        return [link for link in self.all() if self._is_refused_now(link, judge)]

    def rejudge_relying_on(
        self, named: Collection[CertificateId], judge: Callable[[Link, PeerEvidence], Verdict]
    ) -> list[Link]:
        """The same, but only for the links that rely on a certificate in *named*; other links are not judged."""
        links = self._reactor.links.relying.on(named)
        return [link for link in cast("list[Link]", links) if self._is_refused_now(link, judge)]

    @staticmethod
    def _is_refused_now(link: Link, judge: Callable[[Link, PeerEvidence], Verdict]) -> bool:
        if link.peer.evidence is None or link.state not in (LinkState.UP, LinkState.DRAINING):
            return False
        return not link.judged(judge(link, link.peer.evidence))

    def drain(self) -> asyncio.Future[None]:
        """Drain every link; the returned future is done once the last link has closed, which ``drain_s`` bounds.

        A request that is still served may open another link. At the end of ``drain_s`` such links are closed.
        """
        drained: asyncio.Future[None] = self._reactor.loop.create_future()
        for link in self.all():
            link.drain()
        self._tell_when_empty(drained)
        if not drained.done():
            end = self._reactor.loop.call_later(self._limits.drain_s, self._close_late)
            drained.add_done_callback(lambda _: end.cancel())
        return drained

    def _close_late(self) -> None:
        for link in self.all():
            link.close("opened while the other links drained")

    def _tell_when_empty(self, drained: asyncio.Future[None]) -> None:
        """Call this again for the links that were dialled while the other links drained."""
        if len(self._reactor.links):
            self._reactor.links.when_empty(lambda: self._tell_when_empty(drained))
        elif not drained.done():
            drained.set_result(None)


def is_elsewhere(link: Link, past: Link) -> bool:
    """Tell whether the peers of two links have different addresses; a port counts only where we have dialled both."""
    return not (past.is_at(link.remote) if link.direction is Direction.OPENED else link.is_at(past.remote))


def _rank(link: Link) -> tuple[bool, int]:
    return link.state is not LinkState.UP, link.pending_out
