"""Octets as they come from a link: framing, early refusals, WebSocket."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from fuzz.worst.readers.fields import END, PIECES, header_of
from fuzz.worst.search import Reader
from fuzz.worst.shape import Piece
from sipmesh.routing.early_refusal import CLIENT_METHODS, refuse_early
from sipmesh.routing.overload import Demand, OverloadControl
from sipmesh.sip.framing import MessageReader, parse_message
from sipmesh.transport.limits import Limits
from sipmesh.transport.websocket.frames import FrameError, WebSocketFrames
from sipmesh.transport.websocket.http_request import UpgradeError
from sipmesh.transport.websocket.upgrade import Upgrade, UpgradePolicy
from sipmesh.trust.evidence import LinkKind

MOST_HEADER: Final = 60_000
CHUNK: Final = 512
MESSAGE: Final = b"".join(header_of(b"MESSAGE"))
STREAM: Final = (
    *PIECES,
    Piece(MESSAGE),
    Piece(b"\r\n\r\n"),
    Piece(b"\r\n"),
    Piece(b"Content-Length: ", b"0", b"\r\n"),
    Piece(b"l: ", b"9", b"\r\n"),
    Piece(b"a", b" ", b": b\r\n"),
)


def _whole(data: bytes) -> None:
    for _ in MessageReader().feed(data):
        pass


def _in_chunks(data: bytes) -> None:
    reader = MessageReader()
    for at in range(0, len(data), CHUNK):
        for _ in reader.feed(data[at : at + CHUNK]):
            pass


def _overloaded(data: bytes) -> None:
    control = OverloadControl(0.1, 0.5, 0.5)
    control.active, control.loss = True, 1.0
    refuse_early(data, control, Demand(), CLIENT_METHODS, b"192.0.2.1", b"5061")


def _wrapped(middle: bytes) -> bytes:
    return header_of(b"MESSAGE")[0] + middle + END


def _frames(data: bytes) -> None:
    """What a WebSocket link does: a message that is none ends it, and so do too many pings and small fragments."""
    limits, pings = Limits(), 0
    frames = WebSocketFrames(131_072 + 65_536, limits.websocket_fragments, limits.websocket_frames_per_read)
    with suppress(FrameError):
        for at in range(0, len(data), CHUNK):
            frames.add(data[at : at + CHUNK])
            while (item := frames.next()) is not None and pings <= limits.keepalives_at_once:
                if isinstance(item, bytes):
                    parse_message(item, limits.reading(LinkKind.CLIENT), alone=True)
                pings += 1


POLICY: Final = UpgradePolicy(frozenset({"fe1.example.test"}), frozenset({"https://phone.example.test"}))
GET: Final = b"GET /sip HTTP/1.1\r\nHost: fe1.example.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


def _upgrade(data: bytes) -> None:
    upgrade = Upgrade(POLICY, "192.0.2.1")
    with suppress(UpgradeError):
        for at in range(0, len(data), 64):
            if upgrade.add(data[at : at + 64]) is not None:
                return


HTTP: Final = (
    Piece(b"Connection: ", b"{},", b"\r\n"),
    Piece(b"Sec-WebSocket-Protocol: ", b"{},", b"\r\n"),
    Piece(b"Sec-WebSocket-Extensions: ", b"{};a=1,", b"\r\n"),
    Piece(b"Origin: ", b"{}", b"\r\n"),
    Piece(b"{}: a\r\n"),
    Piece(b"Accept-Encoding: ", b"{};q=0.1,", b"\r\n"),
    Piece(b"Cookie: ", b"{}=1;", b"\r\n"),
)

READERS: Final = (
    Reader("framing", MOST_HEADER, STREAM, _whole, _wrapped),
    Reader("framing, in chunks", MOST_HEADER, STREAM, _in_chunks, _wrapped),
    Reader("early refusal", MOST_HEADER, STREAM, _overloaded, _wrapped),
    Reader(
        "WebSocket frames",
        131_072,
        (
            Piece(b"\x81\x80\0\0\0\0"),
            Piece(b"\x89\x80\0\0\0\0"),
            Piece(b"\x01\x80\0\0\0\0"),
            Piece(b"\0\x80\0\0\0\0"),
            Piece(b"\0\x81\0\0\0\0a"),
            Piece(b"\x82\xfe\x01\x00\1\2\3\4" + bytes(256)),
            Piece(b"\x02\x81\0\0\0\0a"),
            Piece(b"\x81\xff\0\0\0\0\0\1\0\0\1\2\3\4", b"\x82"),
        ),
        _frames,
    ),
    Reader("WebSocket upgrade", 16_384, HTTP, _upgrade, lambda middle: GET + middle + b"\r\n"),
)
