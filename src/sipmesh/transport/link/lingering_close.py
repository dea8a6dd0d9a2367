"""The end of a refused connection: the peer has time to read why it was refused.

A TLS 1.3 client sends its first request before it knows whether it was accepted. If we close the TCP connection with that
request unread, the kernel resets the connection. Then the alert that explains the refusal (RFC 8446 6.2) is lost.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sipmesh.transport.watched import Watched

if TYPE_CHECKING:
    from sipmesh.transport.reactor.reactor import Reactor

A_READ: Final = 16_384


class LingeringClose(Watched):
    """A refused connection after our last octet; it closes once the peer has closed it, or after ``farewell_s``."""

    __slots__ = ("_left", "_reactor", "_sock", "alarm")

    def __init__(self, reactor: Reactor, sock: socket.socket) -> None:
        self._reactor, self._sock = reactor, sock
        self._left = reactor.limits.farewell_bytes
        self.generation = 0
        self.alarm = 0.0

    def begin(self) -> None:
        """Shut our side down and wait until the peer closes; close at once where too many connections wait already."""
        if len(self._reactor.leaving) >= self._reactor.limits.farewells:
            self._sock.close()
            return
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:  # the peer has gone
            self._sock.close()
            return
        self._reactor.leaving.add(self)
        self._reactor.watch(self._sock.fileno(), self)
        self._reactor.set_alarm(self, self._reactor.loop.time() + self._reactor.limits.farewell_s)

    def ready(self, mask: int) -> None:  # noqa: ARG002 - each event is answered by a read
        """Read and drop what the peer has sent."""
        try:
            dropped = self._sock.recv(A_READ)
        except BlockingIOError:
            return
        except OSError:
            dropped = b""
        self._left -= len(dropped)
        if not dropped or self._left <= 0:
            self._end()

    def due(self, now: float) -> None:  # noqa: ARG002
        """Close: the time for the peer is over."""
        self._end()

    def broken(self, error: Exception) -> None:  # noqa: ARG002
        """Close after a bug of ours."""
        self._end()

    def flush(self) -> None:
        """Do nothing: there is nothing to write."""

    def _end(self) -> None:
        if self.generation:
            self._reactor.unwatch(self._sock.fileno())
            self.generation = 0
            self._reactor.close_later(self)

    def close_socket(self) -> None:
        """Close the socket; the reactor calls this."""
        self._reactor.leaving.discard(self)
        with suppress(OSError):
            self._sock.close()
