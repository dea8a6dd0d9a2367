"""Split a byte stream into messages: RFC 3261 7.5 and 18.3, RFC 5626 4.4.1 and, for WebSocket, RFC 7118 5."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.sip.header import Message, content_length
from sipmesh.sip.message import Request, Response, parse_head
from sipmesh.sip.names import bits_of
from sipmesh.sip.rows import LONE_LINE_BREAK, TOO_MANY, has_long_list
from sipmesh.sip.text import ascii_lower, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_CR: Final = 13
_CRLF: Final = b"\r\n"
_END: Final = b"\r\n\r\n"
_NEEDED_TO_ANSWER: Final = bits_of("via", "from", "to", "call-id", "cseq")


MAX_HEADER: Final = 65536
"""Octets of a header, start line included. We do not process or send a longer header."""
MAX_ROWS: Final = 256
"""Header rows of a message. We do not process or send a message with more rows."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """The limits of one message: octets, except *fields* (header rows) and *items* (items of one list field).

    Each limit has a reason:

    - *start_line* (414): a Request-URI is stored and logged.
    - *header* (513; RFC 3261 has no closer status): the header is buffered until it is complete, and walked row by row.
    - *fields* and *items* (513): each row and each item costs an object and a step.
    - *body* (413): the body is buffered until it is complete.

    A correct message has 70 Vias at most, because Max-Forwards starts at 70, and two Record-Routes for each hop.

    A message above *header*, *fields* or *items* is marked with TOO_MANY, and the stream continues. A header above *header*
    plus *growth* ends the stream. We send nothing above MAX_HEADER and MAX_ROWS, and a server of an older release adds less
    than *growth*. So no user can make a server send a message that makes the next server close the link.
    """

    start_line: int = 16384
    header: int = MAX_HEADER
    growth: int = 32768
    body: int = 131072
    fields: int = MAX_ROWS
    items: int = 256


class Keepalive(Enum):
    """A keepalive of RFC 5626 4.4.1."""

    PING = b"\r\n\r\n"
    PONG = b"\r\n"


class FramingError(RemoteError):
    """The stream cannot be read further. Answer *request* if it is not None, then close the link."""

    def __init__(self, message: str, *, rule: str, status: int = 400, request: Request | None = None) -> None:
        super().__init__(message, rule=rule, status=status)
        self.request = request

    @classmethod
    def because(cls, wrong: RemoteError, request: Request | None = None) -> FramingError:
        """Make a FramingError from the error of one field."""
        reason = str(wrong).removesuffix(f" ({wrong.rule})")
        return cls(reason, rule=wrong.rule, status=wrong.status, request=request)


class MessageReader:
    """Splits a byte stream into messages and keepalives, for any size of chunks.

    *expects* is the keepalive that the peer sends. The side that opened the link sends PING, and the side that accepted it
    answers with PONG (RFC 5626 3.5.1). So the reader of an accepted link expects PING (the default), and the reader of an
    opened link expects PONG. The bytes alone do not tell them apart: a single CRLF is half a PING or a whole PONG.

    *limits* may be replaced between two messages. After a FramingError the reader drops all further bytes, because it no
    longer knows where a message begins.
    """

    __slots__ = (
        "_at",
        "_awaited",
        "_broken",
        "_held",
        "_missing",
        "_more",
        "_pending",
        "_searched",
        "expects",
        "limits",
    )

    def __init__(self, limits: ReadLimits | None = None, *, expects: Keepalive = Keepalive.PING) -> None:
        self.limits = limits or ReadLimits()
        self.expects = expects
        self._held = b""
        self._at = 0  # index in _held of the first octet that was not read
        self._more = bytearray()  # octets after _held, not examined yet
        self._awaited = 0  # octets to wait for: then the body is complete, or the header is too long
        self._searched = 0  # octets behind _at in which there is no end of a header
        self._pending: Request | Response | None = None  # its header is read, its body is not complete
        self._missing = 0  # Content-Length of that body
        self._broken = False

    def feed(self, data: bytes | memoryview) -> Iterator[Request | Response | Keepalive]:
        """Add bytes, and give the complete messages and keepalives, oldest first.

        The bytes are added at once, before the iterator is used. The next call gives the items that this iterator did not.
        Raises FramingError after the last valid item.
        """
        self.add(bytes(data))
        return self._whole()

    def _whole(self) -> Iterator[Request | Response | Keepalive]:
        while (found := self.next()) is not None:
            yield found

    def add(self, data: bytes) -> None:
        """Add bytes. Call :meth:`next` for the complete messages."""
        if self._broken:
            return
        if self._at == len(self._held) and not self._more:
            self._held, self._at, self._awaited = data, 0, 0
            return
        self._awaited -= len(data)
        if self._awaited <= 0 or (self._pending is None and self._ends_header(data)):
            self._held, self._at, self._awaited = self._held[self._at :] + bytes(self._more) + data, 0, 0
            self._more.clear()
        else:
            self._more += data

    def _ends_header(self, data: bytes) -> bool:
        """Tell whether a header ends in *data*. Its end may begin in the octets before *data*."""
        before = self._more[-3:] if len(self._more) > 2 else self._held[-3:] + self._more  # noqa: PLR2004 - CRLFCR
        return _END in before[-3:] + data

    def next(self) -> Request | Response | Keepalive | None:
        """Give the oldest complete message or keepalive, or None; FramingError as in :meth:`feed`."""
        if self._broken:
            return None
        if self._pending is None:
            if self._at == len(self._held):
                self._held, self._at = b"", 0  # an idle link keeps no message in memory
                return None
            if self._held[self._at] == _CR and (found := self._keepalive()) is not None:
                return found
            try:
                if not self._read_head():
                    return None
            except FramingError:
                self._broken, self._held, self._at = True, b"", 0
                raise
        return self._read_body()

    @property
    def unread(self) -> bool:
        """Whether there are octets that no message was made of yet."""
        return self._at < len(self._held)

    @property
    def is_empty(self) -> bool:
        """Whether the stream is between two messages, and no octet of the next one has come."""
        return not self._held and self._pending is None and not self._more and not self._broken

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun and is not complete. Part of a keepalive is not a message."""
        if self._pending is not None or self._more:
            return True
        if not self._held:  # everything was read
            return False
        return self._at < len(self._held) and not _END.startswith(self._held[self._at :])

    def _keepalive(self) -> Keepalive | None:
        """Skip the CRLFs before a start line (RFC 3261 7.5: they MUST be ignored), and give the keepalive in them."""
        wanted = self.expects.value
        if self._held.startswith(wanted, self._at):
            self._at += len(wanted)
            return self.expects
        if self._held.startswith(_CRLF, self._at) and len(self._held) - self._at > len(_END):
            self._at += len(_CRLF)
            self._searched = 0
        return None

    def _read_head(self) -> bool:
        if self._awaited:
            return False
        end = self._held.find(_END, max(self._at, self._at + self._searched - len(_END)))
        if end < 0:
            self._searched = len(self._held) - self._at
            self._limit_unfinished()
            return False
        head = self._held[self._at : end]
        self._at, self._searched = end + len(_END), 0
        self._pending = self._parsed(head)
        return True

    def _read_body(self) -> Request | Response | None:
        message, end = self._pending, self._at + self._missing
        if message is None:
            return None
        if end > len(self._held):
            self._awaited = self._awaited or end - len(self._held)
            return None
        _complete(message, self._held[self._at : end])
        self._at, self._pending = end, None
        return message

    def _limit_unfinished(self) -> None:
        """Refuse an incomplete header that is above a limit; otherwise set how many octets to wait for."""
        start = self.limits.start_line + len(_CRLF)
        header = self.limits.header + self.limits.growth + len(_END)
        if self._searched >= start and self._held.find(_CRLF, self._at, self._at + start) < 0:
            raise _too_long_a_start(None)
        if self._searched >= header:
            came = self._held[self._at :].rpartition(_CRLF)[0]
            raise _too_much_header(_answerable(came))
        if self._searched >= len(_END):
            self._awaited = (start if self._searched < start else header) - self._searched

    def _parsed(self, head: bytes) -> Request | Response:
        if len(head) > self.limits.start_line:
            self._limit_head(head)
        message = _message(head)
        _mark(message, head, self.limits)
        length = _stream_length(message)
        if length > self.limits.body:
            raise _too_much_body(length, self.limits, _to_answer(message))
        self._missing = length
        return message

    def _limit_head(self, head: bytes) -> None:
        """Refuse a header whose start line is too long, or that is above *header* plus *growth*."""
        if head.find(_CRLF, 0, self.limits.start_line + len(_CRLF)) < 0:
            raise _too_long_a_start(_answerable(head))
        if len(head) > self.limits.header + self.limits.growth:
            raise _too_much_header(_answerable(head))

    def __repr__(self) -> str:
        state = f"{len(self._held) - self._at + len(self._more)} octets unread"
        if self._broken:
            state = "broken"
        elif self._pending is not None:
            state += f", {self._missing} octets of body awaited"
        return f"<MessageReader {state}, expects {self.expects.name}>"


def parse_message(data: bytes, limits: ReadLimits | None = None, *, alone: bool = False) -> Request | Response:
    """Parse the only message of a WebSocket message or a datagram. Content-Length may be absent.

    Raises FramingError, a RemoteError, as :class:`MessageReader` does. A body that is shorter than its Content-Length gets
    400. Octets behind the body are dropped (RFC 3261 18.3). If *alone*, they get 400 instead: a WebSocket message has
    at most one SIP message (RFC 7118 section 5).
    """
    limits = limits or ReadLimits()
    head, _, body = data.lstrip(_CRLF).partition(_END)
    if len(head) > limits.start_line and head.find(_CRLF, 0, limits.start_line + len(_CRLF)) < 0:
        raise _too_long_a_start(_answerable(head))
    if len(head) > limits.header + limits.growth:
        raise _too_much_header(_answerable(head))
    if len(body) > limits.body:
        raise _too_much_body(len(body), limits, _answerable(head))
    message = _message(head)
    _mark(message, head, limits)
    length = _announced(message)
    if length is not None and length > len(body):
        raise FramingError(
            f"a body of {len(body)} octets where {length} were announced",
            rule="RFC 3261 18.3",
            request=_to_answer(message),
        )
    if alone and length is not None and len(body) > length:
        raise FramingError(
            f"{len(body) - length} octets behind the body", rule="RFC 7118 section 5", request=_to_answer(message)
        )
    message.body = body if length is None else body[:length]
    if length is None:
        message.append("content-length", str(len(body)))
    return message


def is_too_long(message: Message, size: int) -> bool:
    """Return whether a message of *size* octets has a header that a reader with our limits would refuse.

    Every hop adds to a message. So each server checks what it sends; otherwise the next hop would close the link.
    """
    return len(message.rows) > MAX_ROWS or (size > MAX_HEADER and size - len(message.body) > MAX_HEADER)


def _mark(message: Message, head: bytes, limits: ReadLimits) -> None:
    """Mark a message that is above a limit: its end is known, so the link continues, but it is not processed."""
    if len(message.rows) > limits.fields or len(head) > limits.header or has_long_list(message.rows, limits.items):
        message.flaws |= TOO_MANY


def _complete(message: Message, body: bytes) -> None:
    message.body = body  # mypyc: fast for an attribute of one class; for a union it looks the attribute up by name


def _message(head: bytes) -> Request | Response:
    """Parse a header whose lines end in CRLF only.

    Many parsers end a line at a lone CR or LF. They would see header fields in this message that we did not see.
    """
    try:
        message = parse_head(head)
    except RemoteError as wrong:
        raise _not_sip(head) or FramingError.because(wrong) from None
    if message.flaws & LONE_LINE_BREAK:
        raise FramingError("a lone CR or LF in the header", rule="RFC 3261 7", request=_to_answer(message))
    return message


def _not_sip(head: bytes) -> FramingError | None:
    """Give the error of a browser or another HTTP client on a SIP port; None for anything else."""
    text = ascii_lower(text_of(head))
    if not text.partition("\r\n")[0].endswith((" http/1.1", " http/1.0")):
        return None
    what = "a WebSocket handshake over HTTP" if "websocket" in text else "an HTTP request"
    return FramingError(f"{what} on a SIP port", rule="RFC 3261 7.1")


def _stream_length(message: Request | Response) -> int:
    length = _announced(message)
    if length is None:
        # 18.3: the Content-Length header field MUST be used with stream oriented transports.
        raise FramingError("no Content-Length on a stream", rule="RFC 3261 18.3", request=_to_answer(message))
    return length


def _announced(message: Request | Response) -> int | None:
    try:
        return content_length(message)
    except RemoteError as wrong:
        raise FramingError.because(wrong, _to_answer(message)) from None


def _too_long_a_start(request: Request | None) -> FramingError:
    return FramingError("a start line above the limit", rule="RFC 3261 21.4.12", status=414, request=request)


def _too_much_header(request: Request | None) -> FramingError:
    return FramingError("a header above the limit", rule="RFC 3261 21.5.7", status=513, request=request)


def _too_much_body(length: int, limits: ReadLimits, request: Request | None) -> FramingError:
    return FramingError(
        f"a body of {length} octets, above {limits.body}", rule="RFC 3261 21.4.11", status=413, request=request
    )


def _answerable(head: bytes) -> Request | None:
    """Give the request in a header, which may be cut off, if it has the fields that an answer needs; otherwise None."""
    try:
        return _to_answer(parse_head(head))
    except RemoteError:
        return None


def _to_answer(message: Request | Response) -> Request | None:
    # An ACK is never answered (RFC 3261 17).
    if isinstance(message, Response) or message.method == "ACK":
        return None
    return message if message.present & _NEEDED_TO_ANSWER == _NEEDED_TO_ANSWER else None
