"""A link of a client over secure WebSocket: the same link as over TLS, with one SIP message in each WebSocket message."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.transport.link.lingering_close import LingeringClose
from sipmesh.transport.link.link import Link
from sipmesh.transport.link.state import CLOSED, DRAINING
from sipmesh.transport.websocket.frames import GOING_AWAY
from sipmesh.transport.websocket.reader import WebSocketReader
from sipmesh.transport.websocket.upgrade import UpgradePolicy
from sipmesh.trust.evidence import Direction, LinkKind

if TYPE_CHECKING:
    from sipmesh.transport.link.events import LinkEvents
    from sipmesh.transport.reactor.reactor import Reactor
    from sipmesh.transport.tls.pyopenssl import PyOpenSslTls

PORT: Final = "websocket"
"""The name of the port that accepts these links, as in the topology."""


class WebSocketLink(Link):
    """One WebSocket. *policy* gives who may open one at the time of the upgrade.

    Until the upgrade the peer speaks HTTP, and nothing can be sent to it. After it, each `send` writes one frame.
    """

    __slots__ = ("_web",)

    def __init__(self, reactor: Reactor, events: LinkEvents, policy: Callable[[], UpgradePolicy]) -> None:
        super().__init__(reactor, events, LinkKind.CLIENT, Direction.ACCEPTED, PORT)
        self._reader = self._web = WebSocketReader(reactor, events, self._deadlines, policy)

    def due(self, now: float) -> None:
        """Act on the alarm; ping a peer that has been quiet: a browser sends no keepalive of its own, but answers a Ping."""
        frames, deadlines = self._web.frames, self._deadlines
        is_quiet = now - self.last_in >= self._reactor.limits.websocket_ping_s
        if is_quiet and not deadlines.pinged_at and frames is not None and self.is_open:
            deadlines.pinged_at = now
            self.send_octets(frames.ping())
        super().due(now)

    # Writing

    def send(self, data: bytes) -> bool:
        """See :meth:`Link.send`; *data* is one message. Nothing can be sent before the upgrade."""
        frames, state = self._web.frames, self.state
        if frames is None or state is CLOSED or state is DRAINING:
            return False
        return super().send(frames.frame(data))

    def send_octets(self, octets: bytes) -> None:
        """See :meth:`Link.send_octets`; these are the HTTP response, and frames that are made already."""
        if super().send(octets):
            self.messages_out -= 1

    # Ending

    def close(self, why: str) -> None:
        """See :meth:`Link.close`; a Close frame goes before. Its text says what was wrong with the peer's own octets."""
        web = self._web
        if web.frames is not None and self.is_open and not self._closed_by_peer:
            code = GOING_AWAY if self.state is DRAINING else web.code
            self._writer.put(web.frames.close(code, web.reason))
            web.frames = None
        super().close(why)

    def _leave(self, tls: PyOpenSslTls) -> None:
        """Let the peer read our last octets: a reset, because of octets that we did not read, would take them away."""
        if self._closed_by_peer:
            tls.close()
        else:
            LingeringClose(self._reactor, tls.leave()).begin()
