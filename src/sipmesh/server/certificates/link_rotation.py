"""Links that we opened under a certificate that has been replaced get a successor before it ends, and go when they are quiet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sipmesh.server.proxy.flow import Flow
from sipmesh.transport.link.state import LinkState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link.link import Link

BEFORE: Final = timedelta(hours=1)
"""How long before the end of the old certificate a successor is opened: an hour for the old link to become quiet."""

QUIET_S: Final = 2.0
AGAIN: Final = timedelta(minutes=1)
PING: Final = b"\r\n\r\n"  # RFC 5626 4.4.1: its answer proves that the peer has accepted us


@dataclass(slots=True)
class RetiredCertificate:
    """A link under an old certificate, which *ends*, and the link that takes over from it once that was dialled."""

    link: Link
    ends: datetime
    successor: Link | None = None
    again_at: datetime | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the new link is up and something has come back on it."""
        new = self.successor
        return new is not None and new.state is LinkState.UP and new.confirmed


class LinkRotation:
    """All such links of one server; *dial* opens a link. New requests take the newest link by themselves."""

    def __init__(self, dial: Callable[[Hop], Link]) -> None:
        self._dial, self.quiet_s = dial, QUIET_S
        self._old: dict[str, RetiredCertificate] = {}

    def __repr__(self) -> str:
        return f"<LinkRotation of {len(self._old)} links>"

    def rotated(self, links: Iterable[Link], ends: datetime) -> None:
        """These *links* were opened under a certificate that is not shown any more and that *ends*; the first end counts."""
        for link in links:
            old = self._old.setdefault(link.id, RetiredCertificate(link, ends))
            old.ends = min(old.ends, ends)

    def step(self, at: datetime, now: float) -> list[str]:
        """Open the successors that are due and let quiet links go; returns the ids of those. *now* is loop time."""
        self._old = {name: old for name, old in self._old.items() if old.link.usable}
        for old in self._old.values():
            if old.ends - at <= BEFORE:
                self._succeed(old, at)
        gone = [old.link for old in self._old.values() if old.succeeded and self._is_quiet(old.link, now)]
        for link in gone:
            link.drain()
        return [link.id for link in gone]

    def _succeed(self, old: RetiredCertificate, at: datetime) -> None:
        """Open the successor; one that failed is tried again after a while."""
        failed = old.successor is not None and old.successor.state is LinkState.CLOSED
        due = old.again_at is None or at >= old.again_at
        if old.link.hop is not None and due and (old.successor is None or failed):
            old.successor, old.again_at = self._dial(old.link.hop), at + AGAIN
            old.successor.send(PING)

    def _is_quiet(self, link: Link, now: float) -> bool:
        """Whether nothing is under way on it: no transaction in either direction, and no byte for a moment."""
        flow = link.flow
        busy = isinstance(flow, Flow) and (flow.sent or flow.served)
        return link.state is LinkState.UP and not busy and not link.pending_out and now - link.last_in >= self.quiet_s
