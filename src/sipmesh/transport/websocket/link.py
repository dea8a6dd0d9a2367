"""A link of a client over secure WebSocket: the same link as over TLS, with one SIP message in each WebSocket message."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError
from sipmesh.routing.early_refusal import CLIENT_METHODS, refuse_early
from sipmesh.sip.framing import FramingError, Keepalive, parse_message
from sipmesh.transport.link.lingering_close import LingeringClose
from sipmesh.transport.link.link import CLOSED, DRAINING, Link
from sipmesh.transport.websocket.frames import (
    GOING_AWAY,
    NORMAL,
    NOT_A_MESSAGE,
    POLICY_VIOLATION,
    TOO_BIG,
    Close,
    Control,
    FrameError,
    WebSocketFrames,
)
from sipmesh.transport.websocket.upgrade import Upgrade, UpgradeError, UpgradePolicy
from sipmesh.trust.evidence import Direction, LinkKind

if TYPE_CHECKING:
    from sipmesh.sip.framing import ReadLimits
    from sipmesh.transport.link.link import LinkEvents
    from sipmesh.transport.reactor.reactor import Reactor
    from sipmesh.transport.tls.pyopenssl import PyOpenSslTls

PORT: Final = "websocket"
"""The name of the port that accepts these links, as in the topology."""

TOO_LARGE: Final = frozenset({413, 414, 513})
"""Statuses of SIP for which the Close frame says that the message was too big."""

END_OF_HEADER: Final = 4
NO_PONG: Final = "no pong"


class WebSocketLink(Link):
    """One WebSocket. *policy* gives who may open one at the time of the upgrade.

    Until the upgrade the peer speaks HTTP, and nothing can be sent to it. After it, each `send` writes one frame.
    """

    __slots__ = ("_code", "_frames", "_pinged_at", "_policy", "_told", "_upgrade")

    def __init__(self, reactor: Reactor, events: LinkEvents, policy: Callable[[], UpgradePolicy]) -> None:
        super().__init__(reactor, events, LinkKind.CLIENT, Direction.ACCEPTED)
        self.port = PORT
        self._policy = policy
        self._upgrade: Upgrade | None = None
        self._frames: WebSocketFrames | None = None
        self._code = POLICY_VIOLATION  # of our Close frame, unless something else says why
        self._told = ""
        self._pinged_at = 0.0

    # Reading

    def _deliver(self, chunk: bytes) -> None:
        """Read the upgrade, then frames; as on each link, no byte is read before an accepted verdict."""
        if not self._trusted:
            raise LocalError(f"{self!r} has bytes but no accepted verdict")
        self._pinged_at = 0.0
        if self._frames is None:
            chunk = self._read_upgrade(chunk)
        if self._frames is not None and chunk:
            self._read_frames(self._frames, chunk)

    def _read_upgrade(self, chunk: bytes) -> bytes:
        """Read the HTTP request, and answer it once it is complete; give what follows it."""
        if self._upgrade is None:
            self._upgrade = Upgrade(self._policy(), self.local[0])
        upgrade = self._upgrade
        try:
            answer = upgrade.add(chunk)
        except UpgradeError as refusal:
            self._events.upgrade_refused(self, refusal)
            self._write_now(refusal.answer())
            self.close(f"no WebSocket: {refusal}")
            return b""
        if answer is None:
            self._waits_for_the_rest(len(chunk), anew=False)
            return b""
        self._deadlines.begun_at = 0.0
        self._upgrade = None
        self._write_now(answer)
        limits, reading = self._reactor.limits, self._reading()
        most = reading.header + reading.growth + END_OF_HEADER + reading.body
        self._frames = WebSocketFrames(most, limits.websocket_fragments, limits.websocket_frames_per_read)
        return upgrade.rest

    def _reading(self) -> ReadLimits:
        return self._reactor.limits.reading(LinkKind.CLIENT)

    def _read_frames(self, frames: WebSocketFrames, chunk: bytes) -> None:
        anew = False
        try:
            frames.add(chunk)
            while (item := frames.next()) is not None:
                if isinstance(item, bytes):
                    anew = True  # a Ping between two fragments ends no message (RFC 6455 section 5.5)
                    self._message(item)
                elif isinstance(item, Control):
                    self._control(item)
                else:
                    self._closed_by(item)
                if not self._is_open():
                    return
        except FrameError as wrong:
            self._code, self._told = wrong.code, str(wrong)
            self.close(f"unframeable: {wrong}")
            return
        if frames.unfinished:
            self._waits_for_the_rest(len(chunk), anew=anew)
        else:
            self._deadlines.begun_at = 0.0

    def _message(self, data: bytes) -> None:
        """Deliver the SIP message in one WebSocket message; nothing but CRLF is a keepalive (RFC 7118 section 6)."""
        if data and not data.strip(b"\r\n"):
            self._keepalive(Keepalive.PING if data.startswith(Keepalive.PING.value) else Keepalive.PONG)
            return
        self.admitted = 0
        if self._reactor.overload.active and self._is_refused_early(data):
            return
        try:
            message = parse_message(data, self._reading(), alone=True)
        except FramingError as fault:
            self._code, self._told = TOO_BIG if fault.status in TOO_LARGE else NOT_A_MESSAGE, str(fault)
            self._unframeable(fault)
            return
        self.messages_in += 1
        self._events.arrived(self, message)

    def _is_refused_early(self, data: bytes) -> bool:
        """Answer a new request that is refused because of overload, as on links over TLS; several at once are no message."""
        host, port = self.remote
        control = self._reactor.overload
        result = refuse_early(data, control, self.demand, CLIENT_METHODS, host.encode(), str(port).encode())
        self.admitted = result.admitted
        if not result.refused:
            return False
        control.refused += result.refused
        self.messages_in += result.refused
        if result.rest or result.refused > 1:
            self._code = NOT_A_MESSAGE
            self.close("unframeable: more than one SIP message at once (RFC 7118 section 5)")
        else:
            self.send(result.answers)
        return True

    def _control(self, item: Control) -> None:
        """Answer a Ping with its Pong (RFC 6455 section 5.5.2), which is dropped if there is no room: a peer may ping again."""
        if item.answer:
            self._deadlines.pings = True
            self._write_now(item.answer)

    def _closed_by(self, close: Close) -> None:
        self._code = close.code if close.code != GOING_AWAY else NORMAL
        self.close("closed by the peer")

    # Liveness

    def due(self, now: float) -> None:
        """Act on the alarm; ping a peer that has been quiet: a browser sends no keepalive of its own, but answers a Ping."""
        is_quiet = now - self.last_in >= self._reactor.limits.websocket_ping_s
        if is_quiet and not self._pinged_at and self._frames is not None and self._is_open():
            self._pinged_at = now
            self._write_now(self._frames.ping())
        super().due(now)

    def _bounds(self) -> list[tuple[float, str]]:
        found = super()._bounds()
        limits = self._reactor.limits
        if self._pinged_at:
            found.append((self._pinged_at + limits.websocket_pong_s, NO_PONG))
        return found

    # Writing

    def send(self, data: bytes) -> bool:
        """See :meth:`Link.send`; *data* is one message. Nothing can be sent before the upgrade."""
        frames, state = self._frames, self.state
        if frames is None or state is CLOSED or state is DRAINING:
            return False
        return super().send(frames.frame(data))

    def _write_now(self, data: bytes) -> None:
        """Queue octets that are no message: the HTTP response, or a control frame."""
        if super().send(data):
            self.messages_out -= 1

    # Ending

    def close(self, why: str) -> None:
        """See :meth:`Link.close`; a Close frame goes before. Its text says what was wrong with the peer's own octets."""
        frames = self._frames
        if frames is not None and self._is_open() and not self._closed_by_peer:
            code = GOING_AWAY if self.state is DRAINING else self._code
            self._writer.put(frames.close(code, self._told))
            self._frames = None
        super().close(why)

    def _leave(self, tls: PyOpenSslTls) -> None:
        """Let the peer read our last octets: a reset, because of octets that we did not read, would take them away."""
        if self._closed_by_peer:
            tls.close()
        else:
            LingeringClose(self._reactor, tls.leave()).begin()
