"""Where one message ends and the next begins: RFC 3261 7.5 and 18.3, RFC 5626 4.4.1 and, for WebSocket, RFC 7118 5."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.sip.header import Message, content_length
from sipmesh.sip.message import Request, Response, parse_head
from sipmesh.sip.names import bits_of
from sipmesh.sip.rows import LONE_LINE_BREAK, TOO_MANY, has_long_list

if TYPE_CHECKING:
    from collections.abc import Iterator

_CR: Final = 13
_CRLF: Final = b"\r\n"
_END: Final = b"\r\n\r\n"
_NEEDED_TO_ANSWER: Final = bits_of("via", "from", "to", "call-id", "cseq")


MAX_HEADER: Final = 65536
"""Octets of a header that we read and act on, start line included; nothing longer is sent."""
MAX_ROWS: Final = 256
"""Header rows that we read and act on; nothing with more is sent."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much we read before a message is refused; octets, for *fields* header rows, for *items* items of one list field.

    The start line is bounded because a Request-URI is stored and logged (414), the header because it is held until it
    is whole and walked row by row (513: RFC 3261 has no narrower answer), the number of rows and the items of each list
    field because each costs an object and a walk (513), the body because it is held until it is whole (413).

    An honest message holds 70 Vias at most (Max-Forwards begins there) and two Record-Routes for each hop.

    A message that is above *header*, *fields* or *items* can be framed still: it is marked (TOO_MANY) and the stream goes on.
    Above *header* and *growth* the stream ends. We send nothing above MAX_HEADER and MAX_ROWS, and what a server of an older
    release adds is less than *growth*: so no user can have a server send a message for which the next one closes the link.
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
    """The stream cannot be read on: answer *request*, where there is one that can be answered, and close."""

    def __init__(self, message: str, *, rule: str, status: int = 400, request: Request | None = None) -> None:
        super().__init__(message, rule=rule, status=status)
        self.request = request

    @classmethod
    def because(cls, wrong: RemoteError, request: Request | None = None) -> FramingError:
        """Make the end of the stream out of a fault in one field."""
        said = str(wrong).removesuffix(f" ({wrong.rule})")
        return cls(said, rule=wrong.rule, status=wrong.status, request=request)


class MessageReader:
    """Cuts a byte stream into messages and keepalives, whatever the chunks it comes in.

    *expects* says which keepalive the peer sends. The side that opened the link sends PING and the side that accepted
    it answers PONG (RFC 5626 3.5.1), so a reader on an accepted link expects PING (the default) and one on an opened
    link PONG: a lone CRLF is half a PING on the one and a whole PONG on the other, and the bytes alone do not tell.

    *limits* may be replaced between any two messages. After a FramingError the reader is done: what follows is dropped,
    for it would be read from the middle of something.
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
        self._at = 0  # where the unread part of _held begins
        self._more = bytearray()  # what came after _held, and is not looked at yet
        self._awaited = 0  # how much is still to come before it is: a body is whole then, or a header too long
        self._searched = 0  # how far behind _at no end of a header was found
        self._pending: Request | Response | None = None  # its header is read, its body is not whole
        self._missing = 0  # the length of that body
        self._broken = False

    def feed(self, data: bytes | memoryview) -> Iterator[Request | Response | Keepalive]:
        """Take bytes and give what became whole, oldest first; FramingError after the last good one.

        The bytes are taken at once; what the iterator was not asked for comes with the next call.
        """
        self.take(bytes(data))
        return self._whole()

    def _whole(self) -> Iterator[Request | Response | Keepalive]:
        while (found := self.next()) is not None:
            yield found

    def take(self, data: bytes) -> None:
        """Take bytes; ask :meth:`next` for what became whole."""
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
        """Tell whether a header ends in *data*, its first octets being perhaps the last of the line end before."""
        before = self._more[-3:] if len(self._more) > 2 else self._held[-3:] + self._more  # noqa: PLR2004 - CRLFCR
        return _END in before[-3:] + data

    def next(self) -> Request | Response | Keepalive | None:
        """Give the oldest message or keepalive that is whole, None where there is none; FramingError as :meth:`feed`."""
        if self._broken:
            return None
        if self._pending is None:
            if self._at == len(self._held):
                self._held, self._at = b"", 0  # a quiet link holds no message
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
        """Whether bytes are there of which nothing was given yet."""
        return self._at < len(self._held)

    @property
    def unfinished(self) -> bool:
        """Whether the beginning of a message is here and its end is not; a part of a keepalive does not count."""
        if self._pending is not None or self._more:
            return True
        if not self._held:  # all that came was taken
            return False
        return self._at < len(self._held) and not _END.startswith(self._held[self._at :])

    def _keepalive(self) -> Keepalive | None:
        """Take the CRLFs before a start line (RFC 3261 7.5: they MUST be ignored) and find the keepalive in them."""
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
        """Refuse a header that is too long already, or await what may make it so; what came may be enough for an answer."""
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
            raise FramingError(
                f"a body of {length} octets, above {self.limits.body}",
                rule="RFC 3261 21.4.11",
                status=413,
                request=_to_answer(message),
            )
        self._missing = length
        return message

    def _limit_head(self, head: bytes) -> None:
        """Refuse a header whose start line is too long, or which is too long even for what a hop adds."""
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


def parse_message(data: bytes, limits: ReadLimits | None = None) -> Request | Response:
    """Read the one message of a WebSocket frame or a datagram, where its end is known without Content-Length.

    RemoteError (FramingError) as a stream's reader would raise it; a body that is shorter than its Content-Length is
    400, and octets behind it are dropped (RFC 3261 18.3).
    """
    limits = limits or ReadLimits()
    head, _, body = data.lstrip(_CRLF).partition(_END)
    if len(head) > limits.header + limits.growth or len(body) > limits.body:
        raise FramingError("a message above the limits", rule="RFC 3261 21.5.7", status=513, request=_answerable(head))
    message = _message(head)
    _mark(message, head, limits)
    length = _announced(message)
    if length is not None and length > len(body):
        raise FramingError(
            f"a body of {len(body)} octets where {length} were announced",
            rule="RFC 3261 18.3",
            request=_to_answer(message),
        )
    message.body = body if length is None else body[:length]
    if length is None:
        message.append("content-length", str(len(body)))
    return message


def _mark(message: Message, head: bytes, limits: ReadLimits) -> None:
    """Mark a message that is too long: it can be framed, so its link goes on, but it must not be acted on."""
    if len(message.rows) > limits.fields or len(head) > limits.header or has_long_list(message.rows, limits.items):
        message.flaws |= TOO_MANY


def _complete(message: Message, body: bytes) -> None:
    message.body = body  # compiled, an attribute of one class; of a union it would be looked for by its name


def _message(head: bytes) -> Request | Response:
    """Read a header whose lines end in CRLF only.

    A lone CR or LF ends a line for many a reader downstream: such a message would show them fields that we never saw.
    """
    try:
        message = parse_head(head)
    except RemoteError as wrong:
        raise FramingError.because(wrong) from None
    if message.flaws & LONE_LINE_BREAK:
        raise FramingError("a lone CR or LF in the header", rule="RFC 3261 7", request=_to_answer(message))
    return message


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


def _answerable(head: bytes) -> Request | None:
    """Give the request that a header (perhaps cut off) holds, where an answer to it would find its way."""
    try:
        return _to_answer(parse_head(head))
    except RemoteError:
        return None


def _to_answer(message: Request | Response) -> Request | None:
    # An ACK is never answered (RFC 3261 17).
    if isinstance(message, Response) or message.method == "ACK":
        return None
    return message if message.present & _NEEDED_TO_ANSWER == _NEEDED_TO_ANSWER else None
