"""Frames: what a client may send, in any cut, and what ends the WebSocket."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from sipmesh.transport.websocket.frames import (
    NOT_A_MESSAGE,
    POLICY_VIOLATION,
    PROTOCOL_ERROR,
    SMALL_FRAGMENT,
    TOO_BIG,
    Close,
    Control,
    FrameError,
    SmallFragment,
    WebSocketFrames,
)
from support.examples import examples

OCTETS, FRAGMENTS, FRAMES = 1_000, 4, 16


def frames() -> WebSocketFrames:
    return WebSocketFrames(OCTETS, FRAGMENTS, FRAMES)


def client() -> Connection:
    return Connection(ConnectionType.CLIENT)


def raw(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, rsv: int = 0) -> bytes:
    """Write a frame by hand; its mask is zero, so the payload stays as it is."""
    length = len(payload)
    first = bytes([fin << 7 | rsv << 4 | opcode])
    sized = bytes([masked << 7 | length]) if length < 126 else bytes([masked << 7 | 126]) + struct.pack("!H", length)
    return first + sized + (bytes(4) if masked else b"") + payload


def read(reader: WebSocketFrames, data: bytes) -> list[bytes | Control | Close]:
    """Read what is complete, without what tells of small fragments."""
    return [item for item in read_with_fragments(reader, data) if not isinstance(item, SmallFragment)]


def read_with_fragments(reader: WebSocketFrames, data: bytes) -> list[bytes | Control | Close | SmallFragment]:
    reader.add(data)
    return list(iter(reader.next, None))


def wrong(*data: bytes) -> FrameError:
    reader = frames()
    with pytest.raises(FrameError) as refused:
        read_all(reader, data)
    return refused.value


def read_all(reader: WebSocketFrames, data: tuple[bytes, ...]) -> None:
    for piece in data:
        read(reader, piece)


@pytest.mark.parametrize("event", [TextMessage("h\u00e9llo"), BytesMessage(b"h\xc3\xa9llo")])
@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_message_is_the_same_in_any_cut(event: TextMessage | BytesMessage, size: int) -> None:
    data, reader = client().send(event), frames()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert [item for piece in pieces for item in read(reader, piece)] == ["h\u00e9llo".encode()]
    assert not reader.unfinished


def test_fragments_are_one_message_with_a_ping_between_them() -> None:
    peer, reader = client(), frames()
    first = peer.send(TextMessage("one ", message_finished=False))
    ping, last = peer.send(Ping(b"now")), peer.send(TextMessage("two"))
    assert read(reader, first) == []
    assert reader.unfinished
    control, message = read(reader, ping + last)
    assert message == b"one two"
    assert isinstance(control, Control)
    peer.receive_data(control.answer)
    assert list(peer.events()) == [Pong(b"now")]


@pytest.mark.parametrize(("size", "fits"), [(OCTETS, True), (OCTETS + 1, False)])
def test_message_has_so_many_octets_at_most(size: int, fits: bool) -> None:  # noqa: FBT001
    data = raw(2, b"x" * (size - 500), fin=False) + raw(0, b"x" * 500)
    if fits:
        assert read(frames(), data) == [b"x" * size]
    else:
        assert wrong(data).code == TOO_BIG


def test_message_above_the_limit_is_refused_before_its_end() -> None:
    """A length of 2^62 octets takes no memory."""
    assert wrong(b"\x82\xff" + struct.pack("!Q", 1 << 62) + bytes(4), *[b"x" * 500] * 3).code == TOO_BIG


@pytest.mark.parametrize(("count", "fits"), [(FRAGMENTS, True), (FRAGMENTS + 1, False)])
def test_message_has_so_many_fragments_at_most(count: int, fits: bool) -> None:  # noqa: FBT001
    """Empty fragments would have no end otherwise."""
    begun = [raw(1, fin=False), *[raw(0, fin=False)] * (count - 1)]
    if fits:
        assert read(frames(), b"".join(begun)) == []
    else:
        assert wrong(*begun).code == POLICY_VIOLATION


@pytest.mark.parametrize(
    ("size", "is_small"), [(0, True), (1, True), (SMALL_FRAGMENT - 1, True), (SMALL_FRAGMENT, False)]
)
@pytest.mark.parametrize("cut", [1, 10_000])
def test_small_fragment_is_counted_but_not_the_last_of_a_message(size: int, cut: int, *, is_small: bool) -> None:
    """A frame of one octet costs as much time as a Ping, in records of any size."""
    data, reader = raw(2, b"x" * size, fin=False), WebSocketFrames(OCTETS, FRAGMENTS, 10 * OCTETS)
    told = [item for at in range(0, len(data), cut) for item in read_with_fragments(reader, data[at : at + cut])]
    assert [isinstance(item, SmallFragment) for item in told] == [True] * is_small
    assert read_with_fragments(reader, raw(0, b"y")) == [b"x" * size + b"y"]


@pytest.mark.parametrize(("count", "fits"), [(FRAMES, True), (FRAMES + 1, False)])
def test_one_read_has_so_many_frames_at_most(count: int, fits: bool) -> None:  # noqa: FBT001
    data = raw(9) * count
    if fits:
        reader = frames()
        assert len(read(reader, data)) == count
        assert len(read(reader, data)) == count
    else:
        assert wrong(data).code == POLICY_VIOLATION


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (raw(1, b"hello", masked=False), PROTOCOL_ERROR),  # section 5.1: a client MUST mask
        (raw(1, b"hello", rsv=4), PROTOCOL_ERROR),  # compressed, which was not agreed on
        (raw(3), PROTOCOL_ERROR),
        (raw(11), PROTOCOL_ERROR),
        (raw(9, fin=False), PROTOCOL_ERROR),
        (raw(9, b"x" * 126), PROTOCOL_ERROR),
        (raw(0, b"continues nothing"), PROTOCOL_ERROR),
        (raw(1, b"a", fin=False) + raw(1, b"b"), PROTOCOL_ERROR),
        (raw(8, b"\x03"), PROTOCOL_ERROR),
        (raw(8, struct.pack("!H", 1005)), PROTOCOL_ERROR),
        (raw(8, struct.pack("!H", 999)), PROTOCOL_ERROR),
        (raw(1, b"\xff\xfe"), NOT_A_MESSAGE),
        (raw(1, b"\xe2\x82"), NOT_A_MESSAGE),
        (b"\x82\xff" + struct.pack("!Q", 1 << 63), PROTOCOL_ERROR),
        (b"\x82\xfe" + struct.pack("!H", 5), PROTOCOL_ERROR),
    ],
)
def test_frame_that_breaks_the_protocol_ends_the_websocket(data: bytes, code: int) -> None:
    assert wrong(data).code == code


@pytest.mark.parametrize(("payload", "code"), [(b"", 1000), (struct.pack("!H", 1001) + b"bye", 1001)])
def test_close_frame_of_the_peer_has_its_code(payload: bytes, code: int) -> None:
    (close,) = read(frames(), raw(8, payload))
    assert isinstance(close, Close)
    assert close.code == code


@pytest.mark.parametrize(
    ("data", "event"), [(b"h\xc3\xa9", TextMessage("h\u00e9")), (b"\xff", BytesMessage(bytearray(b"\xff")))]
)
def test_our_message_is_text_where_it_is_utf_8(data: bytes, event: TextMessage | BytesMessage) -> None:
    peer = client()
    peer.receive_data(frames().frame(data))
    assert list(peer.events()) == [event]


def test_our_close_frame_has_a_code_and_a_bounded_reason() -> None:
    peer = client()
    peer.receive_data(frames().close(TOO_BIG, "\u20ac" * 200))
    (event,) = peer.events()
    assert isinstance(event, CloseConnection)
    assert (event.code, event.reason) == (TOO_BIG, "?" * 123)


def test_our_ping_is_a_ping() -> None:
    peer = client()
    peer.receive_data(frames().ping())
    assert list(peer.events()) == [Ping()]


def test_repr_counts() -> None:
    reader = frames()
    read(reader, raw(1, b"abc", fin=False))


@examples(200, 20_000)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.builds(raw, st.integers(0, 15), st.binary(max_size=130), fin=st.booleans(), masked=st.booleans()),
        ),
        max_size=6,
    )
)
def test_any_octets_are_messages_or_one_error(pieces: list[bytes]) -> None:
    """No octet of a client raises anything else, and what waits stays within the limits."""
    reader = frames()
    try:
        read_all(reader, tuple(pieces))
    except FrameError as wrong:
        assert wrong.code in {PROTOCOL_ERROR, NOT_A_MESSAGE, POLICY_VIOLATION, TOO_BIG}  # noqa: PT017 - the other outcome
    assert len(reader._message) <= OCTETS + 130


@examples(100, 10_000)
@given(st.binary(min_size=1, max_size=OCTETS), st.lists(st.integers(1, OCTETS), max_size=FRAGMENTS - 1))
def test_message_comes_back_with_any_fragments(message: bytes, cuts: list[int]) -> None:
    ends = sorted({cut for cut in cuts if cut < len(message)} | {len(message)})
    parts = [message[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    wire = [raw(0 if n else 2, part, fin=n == len(parts) - 1) for n, part in enumerate(parts)]
    reader = frames()
    assert [item for piece in wire for item in read(reader, piece)] == [message]
