"""Replaces links that we opened under an old certificate: a new link opens before it expires, the old link drains when quiet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sipmesh.server.proxy.flow import Flow
from sipmesh.transport.link.state import LinkState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sipmesh.server.proxy.outside import Outside
    from sipmesh.transport.link.link import Link

BEFORE: Final = timedelta(hours=1)
"""The new link is opened this long before the old certificate expires: the old link has an hour to become quiet."""

QUIET_S: Final = 2.0
AGAIN: Final = timedelta(minutes=1)


@dataclass(slots=True)
class RetiredCertificate:
    """A link under an old certificate, which expires at *ends* (UTC); *successor* is the link that replaces it.

    *messages* have passed on the link since it came up, the last one before the loop time *quiet_since*.
    """

    link: Link
    ends: datetime
    successor: Link | None = None
    again_at: datetime | None = None
    messages: int = -1
    quiet_since: float = 0.0

    def note_messages(self, now: float) -> None:
        """Note at the loop time *now* whether a message has come or gone. Keepalives do not count: servers send one a second."""
        messages = self.link.messages_in + self.link.messages_out
        if messages != self.messages:
            self.messages, self.quiet_since = messages, now

    @property
    def succeeded(self) -> bool:
        """Whether the new link is up and has received data."""
        new = self.successor
        return new is not None and new.state is LinkState.UP and new.peer.confirmed


class LinkRotation:
    """The links of one server that are being replaced; *outside* opens links. New requests use the newest link anyway."""

    def __init__(self, outside: Outside) -> None:
        self._outside, self.quiet_s = outside, QUIET_S
        self._old: dict[str, RetiredCertificate] = {}

    def rotated(self, links: Iterable[Link], ends: datetime) -> None:
        """Replace *links*, opened under an old certificate that expires at *ends*; the earliest *ends* of a link counts."""
        for link in links:
            old = self._old.setdefault(link.id, RetiredCertificate(link, ends))
            old.ends = min(old.ends, ends)

    def step(self, at: datetime, now: float) -> list[str]:
        """Open the new links that are due, and drain old links that are quiet; returns the ids of the drained links.

        *at* is the wall-clock time, *now* the loop time in seconds.
        """
        self._old = {name: old for name, old in self._old.items() if old.link.usable}
        for old in self._old.values():
            old.note_messages(now)
            if old.ends - at <= BEFORE:
                self._open_successor(old, at)
        gone = [old.link for old in self._old.values() if old.succeeded and self._is_quiet(old, now)]
        for link in gone:
            link.drain()
        return [link.id for link in gone]

    def _open_successor(self, old: RetiredCertificate, at: datetime) -> None:
        """Open the new link; a dial that failed is repeated after ``AGAIN``."""
        failed = old.successor is not None and old.successor.state is LinkState.CLOSED
        due = old.again_at is None or at >= old.again_at
        if old.link.hop is not None and due and (old.successor is None or failed):
            old.successor, old.again_at = self._outside.links.dial(old.link.hop), at + AGAIN
            old.successor.ping()  # RFC 5626 4.4.1: the answer proves that the peer has accepted us

    def _is_quiet(self, old: RetiredCertificate, now: float) -> bool:
        """Return whether the link has no transaction in either direction, nothing to write, and no message for ``quiet_s``."""
        link, flow = old.link, old.link.flow
        busy = isinstance(flow, Flow) and (flow.sent or flow.served)
        return (
            link.state is LinkState.UP and not busy and not link.pending_out and now - old.quiet_since >= self.quiet_s
        )
