"""The frames of one WebSocket, read into messages within limits (RFC 6455 section 5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from sipmesh.errors import RemoteError
from sipmesh.transport.websocket.announced_length import AnnouncedLength

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
NOT_A_MESSAGE: Final = 1007
POLICY_VIOLATION: Final = 1008
TOO_BIG: Final = 1009
NO_CODE: Final = 1005
"""Close codes of RFC 6455 section 7.4.1."""

SMALL_FRAGMENT: Final = 512
"""Octets below which a fragment that does not end its message counts as a keepalive: it costs as much time as a Ping."""

LONGEST_REASON: Final = 123
"""Octets of the reason in a Close frame (RFC 6455 section 5.5)."""


class FrameError(RemoteError):
    """The WebSocket cannot be read further; *code* is the code of our Close frame."""

    def __init__(self, message: str, *, code: int, rule: str) -> None:
        super().__init__(message, rule=rule)
        self.code = code


class Close:
    """The Close frame of the peer; *code* is its code (RFC 6455 section 7.1.5)."""

    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        self.code = code


class Control:
    """A Ping or a Pong of the peer; *answer* is the Pong frame for a Ping, and empty for a Pong."""

    __slots__ = ("answer",)

    def __init__(self, answer: bytes) -> None:
        self.answer = answer


class SmallFragment:
    """A frame of fewer than `SMALL_FRAGMENT` octets that does not end its message."""

    __slots__ = ()


A_SMALL_FRAGMENT: Final = SmallFragment()


class WebSocketFrames:
    """Reads the frames of the peer, and writes ours. No extension is agreed on, so no frame is compressed.

    A message has *most_octets* in *most_fragments* at most, and one read has *most_frames* at most: tiny frames cost more time
    than their octets suggest. *most_octets* may be changed.
    """

    __slots__ = (
        "_announced",
        "_events",
        "_fragment",
        "_fragments",
        "_frames",
        "_message",
        "_most_fragments",
        "_most_frames",
        "_socket",
        "_unread",
        "most_octets",
    )

    def __init__(self, most_octets: int, most_fragments: int, most_frames: int) -> None:
        self.most_octets, self._most_fragments, self._most_frames = most_octets, most_fragments, most_frames
        self._socket: Any = Connection(ConnectionType.SERVER)
        self._announced, self._unread = AnnouncedLength(), b""
        self._message = bytearray()
        self._fragments = self._frames = 0
        self._fragment = 0  # octets of the frame that has not ended
        self._events: Iterator[Any] = iter(())

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._message or self._fragments)

    def add(self, data: bytes) -> None:
        """Add the octets of one read. Call :meth:`next` for what they complete."""
        self._frames, self._unread = 0, data

    def next(self) -> bytes | Control | Close | SmallFragment | None:
        """Give the next message, Ping, Pong, Close or small fragment; None if none is complete. Raises :class:`FrameError`."""
        while True:
            for event in self._events:
                found = self._item(event)
                if found is not None:
                    return found
            if not self._goes_on():
                return None

    def _goes_on(self) -> bool:
        """Read what is left of one read; a message that is too long is refused as soon as the header of a frame says so."""
        if self._unread:
            count = self._announced.follow(self._unread, self.most_octets)
            self._socket.receive_data(self._unread[:count])
            self._events, self._unread = self._socket.events(), self._unread[count:]
            return True
        if self._announced.octets > self.most_octets:
            text = f"a message above {self.most_octets} octets"
            raise FrameError(text, code=TOO_BIG, rule="RFC 6455 section 7.4.1")
        return False

    def _item(self, event: Any) -> bytes | Control | Close | SmallFragment | None:
        self._frames += 1
        if self._frames > self._most_frames:
            text = f"more than {self._most_frames} frames in one read"
            raise FrameError(text, code=POLICY_VIOLATION, rule="RFC 6455 section 10.4")
        if isinstance(event, CloseConnection):
            return self._closing(event)
        if isinstance(event, (Ping, Pong)):
            return Control(self._socket.send(event.response()) if isinstance(event, Ping) else b"")
        return self._part(event)

    def _closing(self, event: Any) -> Close:
        if self._socket.state is ConnectionState.OPEN:  # wsproto reports its own finding in the same way
            raise FrameError(str(event.reason), code=int(event.code), rule="RFC 6455 section 5")
        return Close(NORMAL if event.code == NO_CODE else int(event.code))

    def _part(self, event: Any) -> bytes | SmallFragment | None:
        """Add a part of a message; give the message with its last part. A frame may arrive in several parts."""
        before = len(self._message)
        self._message += event.data.encode() if isinstance(event.data, str) else event.data
        self._fragment += len(self._message) - before
        self._fragments += event.frame_finished and not event.message_finished
        self._limit_fragments()
        if event.message_finished:
            return self._whole()
        return self._end_of_fragment() if event.frame_finished else None

    def _limit_fragments(self) -> None:
        if self._fragments > self._most_fragments:
            text = f"a message in more than {self._most_fragments} fragments"
            raise FrameError(text, code=POLICY_VIOLATION, rule="RFC 6455 section 10.4")

    def _whole(self) -> bytes:
        message = bytes(self._message)
        self._message.clear()
        self._fragments = self._fragment = 0
        return message

    def _end_of_fragment(self) -> SmallFragment | None:
        is_small, self._fragment = self._fragment < SMALL_FRAGMENT, 0
        return A_SMALL_FRAGMENT if is_small else None

    def frame(self, message: bytes) -> bytes:
        """Write one message in one frame: as text if it is UTF-8, otherwise as binary (RFC 7118 section 5)."""
        try:
            text = message.decode()
        except UnicodeDecodeError:
            return bytes(self._socket.send(BytesMessage(message)))
        return bytes(self._socket.send(TextMessage(text)))

    def ping(self) -> bytes:
        """Write a Ping frame."""
        return bytes(self._socket.send(Ping()))

    def close(self, code: int, reason: str) -> bytes:
        """Write our Close frame; nothing may be written after it."""
        told = reason.encode("ascii", "replace")[:LONGEST_REASON].decode("ascii")
        return bytes(self._socket.send(CloseConnection(code, told)))
