"""A link of another process of this server: what is sent on it goes to that process, which writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.server.proxy.siblings.channel import CLOSE, SEND, WorkerChannel
from sipmesh.transport.link.link import Link
from sipmesh.transport.link.state import CLOSED, UP

if TYPE_CHECKING:
    from sipmesh.transport.link.events import LinkEvents
    from sipmesh.transport.reactor.reactor import Reactor
    from sipmesh.trust.evidence import Direction, LinkKind


NOT_HERE: Final = -1
"""In place of the generation of a password: another pool has checked it."""


class RemoteLink(Link):
    """The link *number* at the other end of *channel*. It has no socket and no deadline here: its own process has them.

    It is in no registry, so it is neither judged nor counted here; that process does so.
    """

    __slots__ = ("_channel", "carrier", "path")

    def __init__(
        self,
        reactor: Reactor,
        events: LinkEvents,
        kind: LinkKind,
        direction: Direction,
        number: int,
        channel: WorkerChannel,
    ) -> None:
        super().__init__(reactor, events, kind, direction)
        self.number, self._channel = number, channel
        self.state = UP
        self.carrier, self.path = (
            0,
            "",
        )  # of a carried flow: the number of the link that carries it, and its Route entry

    @property
    def is_here(self) -> bool:
        """False: another process has the link."""
        return False

    @property
    def worker(self) -> int:
        """The number of the process that has the link."""
        return self._channel.number

    @property
    def pending_out(self) -> int:
        """How many octets wait for that process."""
        return self._channel.pending

    def has_room(self, size: int) -> bool:
        """Return whether a message may go to that process, which answers it where the link itself has no room."""
        return self.state is UP and self._channel.has_room(size)

    def can_hold(self, size: int) -> bool:
        """Return whether a message of *size* octets fits into an empty queue of such a link."""
        return size <= self._reactor.limits.queue_bytes(self.kind)

    def send(self, data: bytes) -> bool:
        """Hand whole messages to that process; return False if the link is closed."""
        if self.state is not UP or not self._channel.is_open:
            return False
        self._channel.send(SEND, self.number, data)
        return True

    def authenticate(self) -> None:
        """A user has logged in; the deadlines are those of the process that has the link."""
        self._deadlines.authenticated = True

    def drain(self) -> None:
        """Close it: only its own process can drain it."""
        self.close("drained")

    def close(self, why: str) -> None:
        """Have it closed; that process tells of the end."""
        if self.state is not CLOSED:
            self.state, self.why = CLOSED, why
            self._channel.send(CLOSE, self.number, why.encode())

    def gone(self) -> None:
        """Take note that the link has closed."""
        self.state = CLOSED
