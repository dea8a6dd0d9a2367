"""An accepted connection that has sent nothing: it waits for its first octets, and takes no place of a handshake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sipmesh.transport.watched import Watched

if TYPE_CHECKING:
    from sipmesh.transport.accept.accept_queue import AcceptedConnection


class Hearing(Protocol):
    """The receiver of the first octets of a connection."""

    def spoke(self, silent: SilentConnection) -> None:
        """Octets have come, or the end of the connection."""

    def still_silent(self, silent: SilentConnection, now: float) -> None:
        """The deadline has passed."""


class SilentConnection(Watched):
    """Watches *connection* for *hearing*; *since* is the loop time in seconds at which it was accepted."""

    __slots__ = ("_hearing", "alarm", "connection", "since")

    def __init__(self, connection: AcceptedConnection, hearing: Hearing, since: float) -> None:
        self.generation, self.alarm = 0, 0.0
        self.connection, self.since = connection, since
        self._hearing = hearing

    def ready(self, _mask: int) -> None:
        """Tell that octets have come, or the end of the connection."""
        self._hearing.spoke(self)

    def due(self, now: float) -> None:
        """Tell that the deadline has passed."""
        self._hearing.still_silent(self, now)

    def flush(self) -> None:
        """Write nothing: a server says nothing first."""

    def broken(self, _error: Exception) -> None:
        """Continue to wait: a fault at the first octets says nothing about this connection."""
