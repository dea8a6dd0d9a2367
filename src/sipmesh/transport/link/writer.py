"""The octets that wait to be written on one link, and how many may wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.transport.tls.results import TlsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.transport.tls.pyopenssl import PyOpenSslTls, Room


class LinkWriter:
    """The queue of one link: it accepts whole messages, and TLS writes as many octets as the socket accepts.

    *pending* counts the octets that wait, *bound* is how many may wait. *reserved* octets more may wait of short responses,
    ACK and CANCEL. *blocked_at* is the loop time in seconds at which the socket became full, or accepted an octet after that;
    0.0 while it is not full. *clock* returns the loop time.
    """

    __slots__ = ("_clock", "_head", "_queue", "blocked_at", "bound", "octets", "pending", "reserved")

    def __init__(self, bound: int, reserved: int, clock: Callable[[], float]) -> None:
        self.bound, self.reserved, self._clock = bound, reserved, clock
        self.pending = self.octets = 0
        self.blocked_at = 0.0
        self._queue: list[bytes] = []
        self._head: bytes | memoryview | None = None

    def put(self, data: bytes) -> None:
        """Queue one message; the caller has checked that there is room."""
        self._queue.append(data)
        self.pending += len(data)

    def write(self, tls: PyOpenSslTls, room: Room) -> bool:
        """Write through *room* until nothing waits (True) or the socket is full (False); the next one starts with the same.

        Raises TlsError if the connection is broken.
        """
        while (head := self._next()) is not None:
            count = tls.write(head, room)
            self.octets += count
            self.pending -= count
            if count == 0:
                self.blocked_at = self.blocked_at or self._clock()
                return False
            self._head = None if count == len(head) else memoryview(head)[count:]
            if self.blocked_at:
                self.blocked_at = self._clock()
        self.blocked_at = 0.0
        return True

    def _next(self) -> bytes | memoryview | None:
        """Return what to write next: all waiting messages, joined into one write."""
        if self._head is None and self._queue:
            self._head = self._queue[0] if len(self._queue) == 1 else b"".join(self._queue)
            self._queue = []
        return self._head

    def clear(self) -> None:
        """Drop the octets that wait."""
        self._queue.clear()
        self._head = None
        self.pending = 0


def why_broken(tls: PyOpenSslTls, lost: TlsError, room: Room) -> str:
    """Return why a write has failed with *lost*: the alert that the peer sent before it closed is the better reason."""
    try:
        while tls.read(room):
            pass
    except TlsError as failed:
        if failed.alert:
            return str(failed)
    return str(lost)
