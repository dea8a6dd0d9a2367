"""What arrives on a link over secure WebSocket: the HTTP request of the upgrade, then frames, each message in one of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError
from sipmesh.sip.framing import FramingError, Keepalive, parse_message
from sipmesh.transport.link.deadlines import TOO_MANY_KEEPALIVES
from sipmesh.transport.link.reader import CLOSED_BY_PEER, PONG, LinkReader
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
from sipmesh.transport.websocket.http_request import UpgradeError
from sipmesh.transport.websocket.upgrade import Upgrade, UpgradePolicy

if TYPE_CHECKING:
    from sipmesh.sip.framing import ReadLimits
    from sipmesh.transport.link.deadlines import LinkDeadlines
    from sipmesh.transport.link.events import LinkEvents
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.reactor.reactor import Reactor

TOO_LARGE: Final = frozenset({413, 414, 513})
"""Statuses of SIP for which the Close frame says that the message was too big."""

END_OF_HEADER: Final = 4


class WebSocketReader(LinkReader):
    """Reads one WebSocket. *policy* gives who may open one at the time of the upgrade.

    *frames* exist from the upgrade on. *code* and *reason* are those of our Close frame, which tells the peer what was wrong
    with its own octets. After a page (`sipmesh.transport.websocket.pages`) nothing more is read: the link ends once the page is
    written.
    """

    __slots__ = ("_policy", "_served", "_upgrade", "code", "frames", "reason")

    def __init__(
        self, reactor: Reactor, events: LinkEvents, deadlines: LinkDeadlines, policy: Callable[[], UpgradePolicy]
    ) -> None:
        super().__init__(reactor, events, deadlines)
        self._policy = policy
        self._upgrade: Upgrade | None = None
        self._served = False
        self.frames: WebSocketFrames | None = None
        self.code, self.reason = POLICY_VIOLATION, ""

    def _deliver_all(self, link: Link, chunks: list[bytes]) -> None:
        """Deliver each record by itself: the frames of one are bounded."""
        for chunk in chunks:
            if link.is_open:
                link.bytes_in += len(chunk)
                self.deliver(link, chunk)

    def deliver(self, link: Link, chunk: bytes) -> None:
        """Read the upgrade, then frames; as on each link, no octet is read before an accepted verdict."""
        if not link.peer.accepted:
            raise LocalError(f"{link!r} has octets but no accepted verdict")
        if self._served:
            return
        self._deadlines.pinged_at = 0.0
        if self.frames is None:
            chunk = self._read_upgrade(link, chunk)
        if self.frames is not None and chunk:
            self._read_frames(link, self.frames, chunk)

    def _read_upgrade(self, link: Link, chunk: bytes) -> bytes:
        """Read the HTTP request, and answer it once it is complete; give what follows it."""
        if self._upgrade is None:
            self._upgrade = Upgrade(self._policy(), link.local[0])
        upgrade = self._upgrade
        try:
            answer = upgrade.add(chunk)
        except UpgradeError as refusal:
            self._events.upgrade_refused(link, refusal)
            link.send_octets(refusal.answer())
            link.close(f"no WebSocket: {refusal}")
            return b""
        if answer is None:
            self._wait_for_the_rest(link, len(chunk), again=False)
            return b""
        self._deadlines.begun_at = 0.0
        self._upgrade = None
        if not upgrade.opens:
            self._served = True
            link.end_with(answer)
            return b""
        link.send_octets(answer)
        limits = self._reactor.limits
        most = most_octets(self.limits(link))
        self.frames = WebSocketFrames(most, limits.websocket_fragments, limits.websocket_frames_per_read)
        return upgrade.rest

    def logged_in(self, link: Link) -> None:
        """See :meth:`LinkReader.logged_in`."""
        if self.frames is not None:
            self.frames.most_octets = most_octets(self.limits(link))

    def _read_frames(self, link: Link, frames: WebSocketFrames, chunk: bytes) -> None:
        again = False
        try:
            frames.add(chunk)
            while (item := frames.next()) is not None:
                if isinstance(item, bytes):
                    again = True  # a Ping between two fragments ends no message (RFC 6455 section 5.5)
                    self._message(link, item)
                elif isinstance(item, Control):
                    self._control(link, item)
                elif isinstance(item, Close):
                    self._closed_by(link, item)
                else:
                    self._takes_keepalive(link)
                if not link.is_open:
                    return
        except FrameError as wrong:
            self.code, self.reason = wrong.code, str(wrong)
            link.close(f"unframeable: {wrong}")
            return
        if frames.unfinished:
            self._wait_for_the_rest(link, len(chunk), again=again)
        else:
            self._deadlines.begun_at = 0.0

    def _message(self, link: Link, data: bytes) -> None:
        """Deliver the SIP message in one WebSocket message; nothing but CRLF is a keepalive (RFC 7118 section 6)."""
        if data and not data.strip(b"\r\n"):
            self._keepalive(link, Keepalive.PING if data.startswith(Keepalive.PING.value) else Keepalive.PONG)
            return
        link.admitted = 0
        if self._reactor.overload.active and self._is_refused_early(link, data):
            return
        try:
            message = parse_message(data, self.limits(link), alone=True)
        except FramingError as fault:
            self.code, self.reason = TOO_BIG if fault.status in TOO_LARGE else NOT_A_MESSAGE, str(fault)
            self._unframeable(link, fault)
            return
        link.messages_in += 1
        self._events.arrived(link, message)

    def _too_many_keepalives(self, link: Link) -> None:
        self.code, self.reason = POLICY_VIOLATION, TOO_MANY_KEEPALIVES
        link.close(TOO_MANY_KEEPALIVES)

    def _pong(self) -> bytes:
        """Return the answer to a keepalive, in a frame."""
        return self.frames.frame(PONG) if self.frames is not None else b""

    def _is_refused_early(self, link: Link, data: bytes) -> bool:
        """Answer a new request that is refused because of overload, as on links over TLS; several at once are no message."""
        result = self._refusal(link, data)
        if not result.refused:
            return False
        if result.rest or result.refused > 1:
            self.code = NOT_A_MESSAGE
            link.close("unframeable: more than one SIP message at once (RFC 7118 section 5)")
        else:
            self._send_refusals(link, result)
        return True

    def _control(self, link: Link, item: Control) -> None:
        """Answer a Ping with its Pong (RFC 6455 section 5.5.2), which is dropped if there is no room: a peer may ping again."""
        if self._takes_keepalive(link) and item.answer:
            self._deadlines.keepalives += 1
            link.send_octets(item.answer)

    def _closed_by(self, link: Link, close: Close) -> None:
        self.code = close.code if close.code != GOING_AWAY else NORMAL
        link.close(CLOSED_BY_PEER)


def most_octets(limits: ReadLimits) -> int:
    """Return how many octets a WebSocket message may have."""
    return limits.header + limits.growth + END_OF_HEADER + limits.body
