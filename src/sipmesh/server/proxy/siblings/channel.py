"""The connection between two processes of one server: a socket pair that only these two have, with frames of our own.

A frame is a header and a payload. The header is the length of the payload (4 octets), the kind of the frame (1 octet) and the
number of the link that it is about (8 octets). Frames keep their order.
"""

from __future__ import annotations

import json
import socket
from collections import deque
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Final

from sipmesh.transport.watched import READ, WRITE, Watched

if TYPE_CHECKING:
    from sipmesh.transport.reactor.reactor import Reactor

HEADER: Final = Struct(">IBQ")

UP: Final = 1  # a link has come up
LOGIN: Final = 2  # a user has logged in on a link
DOWN: Final = 3  # a link has closed
SEND: Final = 4  # write these octets on your link
ARRIVED: Final = 5  # this message has arrived on my link, and is yours
CLOSE: Final = 6  # close your link
USAGE: Final = 8  # what a principal uses here
FAILURE: Final = 9  # a login has failed here
ORDER: Final = 10  # a command of the supervisor; the number identifies it
REPLY: Final = 11  # the answer to an order
ADDRESSED: Final = 12  # a partner has addressed one user more here
FETCH: Final = 13  # a peer was judged here that needs CRLs
TAKEN: Final = 14  # the pools whose users are served here, as their servers are gone
CALL: Final = 15  # a call with a phone on your link is up
CALL_ENDED: Final = 16  # a BYE has passed here
BEAT: Final = 17  # the loop of this process goes on; nothing follows from it
CONTACT: Final = 18  # a Contact is registered on a link here, or is not any more
EARLIER_FAILURES: Final = 19  # the failed logins that a process which has just started does not know
DIALOG_ENDED: Final = 20  # a BYE of a call with a trunk was answered here
TOKEN_USED: Final = 21  # an access token has logged in on a link here
PASSPORTS_USED: Final = 22  # PASSporTs were accepted here, each for one request

SUPERVISOR: Final = 0
"""The number of the process that has the control plane."""

READ_BYTES: Final = 262_144
WRITE_BYTES: Final = 262_144
"""Octets of one write, more than the kernel takes: if each write copied all that waits, a long queue would take minutes."""

FRAMES_TOGETHER: Final = 16
"""Frames that are handed on before the turn of the reactor may end: each may be a message that is forked to ten phones."""

MOST_PENDING: Final = 16_777_216
"""Octets that may wait for a process before messages to it are refused; as for a link between servers."""

MOST_IN_ALL: Final = 4 * MOST_PENDING
"""Octets that may wait in all; with more, the other process hangs, and the channel is closed."""

Take = Callable[["WorkerChannel", int, int, bytes], None]
"""Takes one frame: its channel, kind, number and payload."""


def packed(*facts: object) -> bytes:
    """Return the payload of a frame with these facts: a JSON array."""
    return json.dumps(facts, separators=(",", ":")).encode()


class WorkerChannel(Watched):
    """Our end of the connection to the process *number*; *take* gets each frame, *ended* is called once at the end."""

    __slots__ = (
        "_blocked",
        "_dirty",
        "_ended",
        "_is_paused",
        "_out",
        "_reactor",
        "_sock",
        "_take",
        "_unread",
        "number",
        "pending",
        "queued",
        "received",
    )

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket,
        number: int,
        take: Take,
        ended: Callable[[WorkerChannel], None],
    ) -> None:
        self.generation = 0
        self._reactor, self._sock, self.number = reactor, sock, number
        self._take, self._ended = take, ended
        self._out: deque[bytes] = deque()
        self._unread = bytearray()
        self.pending = 0
        self.queued = 0
        self.received = 0
        self._blocked = self._dirty = False
        self._is_paused = False  # whole frames wait for the next turn
        sock.settimeout(0)
        reactor.watch(sock.fileno(), self)

    @property
    def is_open(self) -> bool:
        """Whether the other process has not ended."""
        return self._sock.fileno() >= 0

    @property
    def written(self) -> int:
        """How many octets of all that were queued have gone to the kernel."""
        return self.queued - self.pending

    def has_room(self, size: int) -> bool:
        """Tell whether a message of *size* octets may wait here."""
        return self.is_open and self.pending + size <= MOST_PENDING

    def has_reserve(self, size: int) -> bool:
        """Tell whether *size* octets that must arrive may wait here, beside as much as one server may have."""
        return self.is_open and self.pending + size <= MOST_IN_ALL - MOST_PENDING

    def send(self, kind: int, number: int, payload: bytes = b"") -> None:
        """Queue one frame; all frames of a batch leave in one write."""
        if not self.is_open:
            return
        self._out.append(HEADER.pack(len(payload), kind, number))
        if len(payload) <= WRITE_BYTES:
            self._out.append(payload)
        else:
            self._out.extend(payload[begin : begin + WRITE_BYTES] for begin in range(0, len(payload), WRITE_BYTES))
        size = HEADER.size + len(payload)
        self.pending += size
        self.queued += size
        if self.pending > MOST_IN_ALL:
            self.close()
        elif not self._dirty and not self._blocked:
            self._dirty = True
            self._reactor.dirty(self)

    # The reactor's side

    def ready(self, mask: int) -> None:
        """Read and write what is possible."""
        if mask & WRITE:
            self._write()
        if mask & ~WRITE and self.is_open:
            self._read()

    def flush(self) -> None:
        """Write what waits."""
        self._dirty = False
        if self.is_open and not self._blocked:
            self._write()

    def broken(self, error: Exception) -> None:  # noqa: ARG002 - the reactor has logged it
        """Go on with the next frame: one message must not cut off all others."""
        if self.is_open and self._unread:
            self._reactor.read_again(self)

    def _write(self) -> None:
        part = b"".join(self._next_part())
        try:
            sent = self._sock.send(part) if part else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        self.pending -= sent
        if sent < len(part):
            self._out.appendleft(part[sent:])
        if bool(self._out) is not self._blocked:
            self._blocked = bool(self._out)
            self._reactor.rewatch(self._sock.fileno(), READ | WRITE if self._blocked else READ)

    def _next_part(self) -> list[bytes]:
        """Take what is to be written next: all that waits, or a part if it is much."""
        if self.pending <= WRITE_BYTES:
            parts = list(self._out)
            self._out.clear()
            return parts
        parts, size = [], 0
        while self._out and size < WRITE_BYTES:
            piece = self._out.popleft()
            parts.append(piece)
            size += len(piece)
        return parts

    def _read(self) -> None:
        if self._is_paused:
            self._take_frames()
            return
        try:
            chunk = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            chunk = None
        except OSError:
            chunk = b""
        if chunk == b"":
            self.close()
            return
        if chunk is not None:
            self.received += len(chunk)
            self._unread += chunk
        self._take_frames()

    def _take_frames(self) -> None:
        """Hand on whole frames, until the turn is over.

        Each is taken off before it is handed on, so that a bug in one does not repeat.
        """
        unread, size = self._unread, HEADER.size
        begin = taken = 0
        self._is_paused = False
        try:
            while len(unread) - begin >= size and self.is_open:
                length, kind, number = HEADER.unpack_from(unread, begin)
                end = begin + size + length
                if len(unread) < end:
                    break
                payload = bytes(unread[begin + size : end])
                begin = end
                taken += 1
                self._take(self, kind, number, payload)
                if taken % FRAMES_TOGETHER == 0 and self._reactor.is_turn_over:
                    self._pause()
                    break
        finally:
            del unread[:begin]

    def _pause(self) -> None:
        if self.is_open:
            self._is_paused = True
            self._reactor.read_again(self)

    def close(self) -> None:
        """Close our end, and tell of it once."""
        if not self.is_open:
            return
        self._reactor.unwatch(self._sock.fileno())
        self._sock.close()
        self._out.clear()
        self.pending = 0
        self._ended(self)
