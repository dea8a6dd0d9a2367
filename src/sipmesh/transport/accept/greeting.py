"""An accepted connection that has a place, until its handshake is over: it is up then, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.transport.link.state import LinkInput, LinkState
from sipmesh.transport.watched import READ
from sipmesh.trust.evidence import HandshakeFailure

if TYPE_CHECKING:
    from sipmesh.routing.budget import Budget
    from sipmesh.transport.accept.accept_queue import AcceptedConnection
    from sipmesh.transport.accept.handshake_places import Greeted
    from sipmesh.transport.accept.listener import Listener
    from sipmesh.transport.handshake import Handshake
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.verdict import Verdict


class Greeting:
    """An accepted connection until it is up or refused; *budget* is the limit that counts it."""

    __slots__ = ("_fd", "began", "budget", "handshake", "limits", "link", "listener", "reactor", "since", "site")

    def __init__(self, listener: Listener, link: Link, connection: AcceptedConnection, handshake: Handshake) -> None:
        self.listener, self.link, self.handshake = listener, link, handshake
        self.site, self._fd = connection.site, connection.fd
        self.budget: Budget[Greeted] = listener.places.silent
        self.reactor, self.limits = listener._reactor, listener._limits  # noqa: SLF001 - the other half of the listener
        self.began = self.since = self.reactor.loop.time()  # of all, and of the present step of its peer

    def begin(self, budget: Budget[Greeted], mask: int = 0) -> None:
        """Wait for the first octets, or act on those that *mask* tells of; the handshake's deadline runs from now."""
        self._take_place(budget)
        self.link.begin(self, LinkInput.GREET)
        self.reactor.set_alarm(self.link, self.since + self.limits.handshake_s)
        if mask:
            self.reactor.hand_over(self._fd, self.link, mask)
        else:
            self.reactor.watch_steps(self._fd, self.link)

    def _take_place(self, budget: Budget[Greeted]) -> None:
        self.budget = budget
        displaced = budget.add(self.site, self)
        if displaced is not None:
            displaced.give_way()

    def is_slow(self, now: float) -> bool:
        """See `handshake_places.Greeted`: what waits to be read is our delay, not the peer's."""
        places, slow_s = self.listener.places, self.limits.slow_s
        least_s = slow_s if self.budget is places.silent else self.limits.handshake_s
        return now - self.since >= (places.patience(least_s) if slow_s else 0.0) and not self.handshake.tls.unread()

    def give_way(self) -> None:
        """Close: another connection gets this one's place."""
        if self.link.state is LinkState.HANDSHAKE:
            self._was_slow(self.reactor.loop.time())
            text = (
                f"closed at a limit: slow, and others wait; its address has {self.listener.places.of(self.site)} more"
            )
            self._over(self.handshake.end(HandshakeFailure("too-many-handshakes", text)))

    def _was_slow(self, now: float) -> None:
        """Count the time of a peer that has lost its place after its ClientHello.

        Otherwise only quick peers would set the pace. Where all have little processor time, each would lose its place, again and
        again.
        """
        if self.handshake.tls.greeted:
            self.listener.places.finished(now - self.began)

    def close(self, why: str) -> None:
        """Close without a verdict."""
        self.link.close(why)

    def ready(self, _mask: int) -> None:
        """Take one step of the handshake."""
        try:
            verdict = self.handshake.step()
        except Exception:  # a bug in the judge or in link_up: the reactor closes the link, here it is no longer counted
            self.budget.remove(self.site, self)
            raise
        if verdict is not None:
            self._over(verdict)
        elif self.budget is self.listener.places.silent and self.handshake.tls.greeted:
            self.budget.remove(self.site, self)
            self.since = self.reactor.now
            self._take_place(self.listener.places.shaking)

    def _over(self, verdict: Verdict) -> None:
        self.budget.remove(self.site, self)
        if verdict.accepted:
            self.listener.places.finished(self.reactor.now - self.began)
        else:
            self.link.discard(verdict)
        self.listener.over(verdict)

    def due(self, now: float) -> None:
        """The peer took too long, unless it was this server: what has come by now is read first."""
        before = self.since
        if self.handshake.tls.unread():
            self.ready(READ)
            if self.link.state is not LinkState.HANDSHAKE:
                return
        until = self.began + self.listener.places.patience(self.limits.handshake_s)
        if self.since != before:
            until = now + self.limits.handshake_s
        if until > now:
            self.reactor.set_alarm(self.link, until)
            return
        self._was_slow(now)
        self._over(self.handshake.end(HandshakeFailure("handshake-timeout", self.listener.not_finished)))

    def abandon(self) -> None:
        """Stop without a verdict."""
        self.budget.remove(self.site, self)
        self.handshake.abandon()
