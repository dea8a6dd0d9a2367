"""One TLS handshake on one socket, and the verdict at its end; the same for accepted links and opened links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.transport.link.lingering_close import LingeringClose
from sipmesh.transport.tls.results import HandshakeError, Progress
from sipmesh.transport.watched import READ, WRITE
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import HandshakeFailure, PeerEvidence

if TYPE_CHECKING:
    from sipmesh.transport.link.events import LinkEvents
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.reactor.reactor import Reactor
    from sipmesh.transport.tls.pyopenssl import PyOpenSslTls
    from sipmesh.trust.verdict import Verdict


CLOSED_AT_ONCE: Final = frozenset({"handshake-timeout", "too-many-handshakes"})
"""Failures after which the connection closes at once: the peer used up its time, or we need its descriptor."""


BY_OUR_CLOCK: Final = frozenset({Code.NOT_YET_VALID, Code.REVOCATION_UNKNOWN})
"""Refusals that a wrong clock of ours causes; after any other one, the time of the peer may be that of an attacker.

An expired certificate proves no time: OpenSSL refuses it before its key is proved, and a thief may have an old key.
"""


class Handshake:
    """Takes the steps of a handshake, and judges the peer at the end.

    ``step`` returns None while the handshake continues. At the end it returns the verdict; if it accepts, the link is up.
    """

    __slots__ = ("_events", "_link", "_mask", "_reactor", "_refused", "local", "remote", "tls")

    def __init__(self, reactor: Reactor, events: LinkEvents, link: Link, tls: PyOpenSslTls) -> None:
        self._reactor, self._events, self._link = reactor, events, link
        self.tls = tls
        self.remote, self.local = link.remote, link.local
        self._mask = READ
        self._refused = False

    def step(self) -> Verdict | None:
        """Take one step; return the verdict once the handshake is over, and None before."""
        watchdog = self._reactor.watchdog
        watchdog.enter(self.tls)
        try:
            progress = self.tls.handshake()
        except HandshakeError as failed:
            watchdog.leave()
            return self.end(failed.failure)
        watchdog.leave()
        if progress is Progress.DONE:
            return self.end(None)
        self._await(WRITE if progress is Progress.WANT_WRITE else READ)
        return None

    def _await(self, mask: int) -> None:
        if mask != self._mask:
            self._mask = mask
            self._reactor.rewatch(self.tls.fileno(), mask)

    def end(self, failure: HandshakeFailure | None) -> Verdict:
        """Judge the evidence: the link comes up, or the connection closes after the peer had time to read the alert."""
        evidence = self._evidence(failure)
        verdict = self._events.judge(self._link, evidence)
        hello_s = self.tls.hello_time() if verdict.accepted or verdict.code in BY_OUR_CLOCK else None
        if hello_s is not None:
            self._link.ahead_s = hello_s - self._reactor.wall_clock()
        if verdict.accepted:
            self._await(READ)
            self._reactor.steps_done(self.tls.fileno())
            self._link.come_up(self.tls, evidence, verdict)
        else:
            self._refused = failure is None or failure.code not in CLOSED_AT_ONCE
            self.abandon()
            self._events.refused(verdict)
        return verdict

    def _evidence(self, failure: HandshakeFailure | None) -> PeerEvidence:
        tls, link = self.tls, self._link
        return PeerEvidence(
            direction=link.direction,
            kind=link.kind,
            remote=self.remote,
            local=self.local,
            presented=tls.presented(),
            engine_errors=tls.engine_errors(),
            tls=tls.facts(),
            failure=failure,
            stapled=tls.stapled,
        )

    def abandon(self) -> None:
        """Close the connection at the end of the batch."""
        self._reactor.unwatch(self.tls.fileno())
        self._reactor.close_later(self)

    def close_socket(self) -> None:
        """Close the socket, or leave it to a lingering close; the reactor calls this."""
        if self._refused:
            LingeringClose(self._reactor, self.tls.leave()).begin()
        else:
            self.tls.close()
