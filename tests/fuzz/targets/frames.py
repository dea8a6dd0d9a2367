"""WebSocket frames: chunks make no difference, limits hold, and a Close frame can always be written."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from fuzz.cuts import in_chunks
from fuzz.target import Target, require
from sipmesh.transport.websocket.frames import Close, Control, FrameError, SmallFragment, WebSocketFrames

OCTETS, FRAGMENTS, FRAMES = 512, 8, 1 << 20

Seen = list[bytes | tuple[str, int | bytes]]


def check(data: bytes) -> None:
    """Read *data* as the frames of a client, at once and in chunks."""
    whole, cut = _seen([data]), _seen(in_chunks(data))
    require(whole == cut, f"chunks make a difference: {whole} and {cut}")
    for item in whole:
        if isinstance(item, bytes):
            require(len(item) <= OCTETS, f"a message of {len(item)} octets")
            _check_written(item)


def _seen(chunks: Iterable[bytes]) -> Seen:
    """Give what comes in the frames, up to a Close frame or an error; the answer to an error is written as a link does."""
    frames, seen = WebSocketFrames(OCTETS, FRAGMENTS, FRAMES), Seen()
    try:
        for chunk in chunks:
            frames.add(chunk)
            while (item := frames.next()) is not None:
                if isinstance(item, Close):
                    return [*seen, ("close", item.code)]
                if not isinstance(item, SmallFragment):
                    seen.append(("control", item.answer) if isinstance(item, Control) else item)
    except FrameError as wrong:
        require(_client_reads(frames.close(wrong.code, str(wrong)))[0].code == wrong.code, "another code in our Close")
        seen.append(("error", wrong.code))
    return seen


def _client_reads(data: bytes) -> list[Any]:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(data)
    return list(client.events())


def _check_written(message: bytes) -> None:
    """The client reads the message from the frame that we write for it."""
    (event,) = _client_reads(WebSocketFrames(OCTETS, FRAGMENTS, FRAMES).frame(message))
    octets = event.data.encode() if isinstance(event, TextMessage) else bytes(event.data)
    require(octets == message, "a message is written differently")


def _sent(*events: Any) -> bytes:
    client = Connection(ConnectionType.CLIENT)
    return b"".join(client.send(event) for event in events)


def _raw(first: int, second: int, rest: bytes = b"") -> bytes:
    return bytes([first, second]) + rest


TARGET: Final = Target(
    name="frames",
    holds="raises FrameError only; chunks make no difference; limits hold; an error can be told in a Close frame",
    check=check,
    seeds=(
        _sent(TextMessage("h\u00e9llo"), Ping(b"now"), BytesMessage(b"\xff" * 200)),
        _sent(TextMessage("a", message_finished=False), Ping(), TextMessage("b"), CloseConnection(1001, "bye")),
        _raw(0x82, 0xFF, struct.pack("!Q", 1 << 62) + bytes(4)) + b"x" * 600,
        _raw(0x01, 0x80, bytes(4)) + _raw(0x00, 0x80, bytes(4)) * 12,
        _raw(0x81, 0x82, bytes(4) + b"\xe2\x82"),
        _raw(0x88, 0x82, bytes(4) + b"\x03\xed"),
        _raw(0xC1, 0x80, bytes(4)),
    ),
    work=200,
)
