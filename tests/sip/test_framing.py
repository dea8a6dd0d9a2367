"""Byte streams cut into messages, for any chunks, and refused where a limit or a rule is broken."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import RemoteError
from sipmesh.sip.framing import (
    MAX_HEADER,
    MAX_ROWS,
    FramingError,
    Keepalive,
    MessageReader,
    ReadLimits,
    is_too_long,
    parse_message,
)
from sipmesh.sip.message import Request, Response, build_request, respond
from sipmesh.sip.rows import TOO_MANY
from support.examples import examples

NEEDED = [
    ("via", "SIP/2.0/TLS a.example;branch=z9hG4bK1"),
    ("from", "<sip:a@example.test>;tag=1"),
    ("to", "<sip:b@example.test>"),
    ("call-id", "x"),
    ("cseq", "1 MESSAGE"),
]
MESSAGE = build_request("MESSAGE", "sip:b@example.test", NEEDED, b"hello\r\n\r\nSIP/2.0 is not here!")
WIRE = MESSAGE.encode()
ANSWER = respond(MESSAGE, 200).encode()
PING, PONG = Keepalive.PING, Keepalive.PONG

Found = Request | Response | Keepalive


def seen(found: Found) -> bytes | Keepalive:
    return found if isinstance(found, Keepalive) else found.encode()


def read(*chunks: bytes, expects: Keepalive = PING, limits: ReadLimits | None = None) -> list[bytes | Keepalive]:
    reader = MessageReader(limits, expects=expects)
    return [seen(found) for chunk in chunks for found in reader.feed(chunk)]


def fault(data: bytes, limits: ReadLimits | None = None) -> FramingError:
    with pytest.raises(FramingError) as wrong:
        read(data, limits=limits)
    return wrong.value


@given(st.lists(st.sampled_from([WIRE, ANSWER, PING.value]), max_size=5), st.lists(st.integers(0, 900), max_size=12))
def test_chunks_make_no_difference(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(parts)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(edges)]
    assert read(*chunks) == [PING if part == PING.value else part for part in parts]


def test_one_octet_at_a_time_is_enough() -> None:
    stream = PING.value + WIRE + b"\r\n" + ANSWER + PING.value
    assert read(*[bytes([octet]) for octet in stream]) == [PING, WIRE, ANSWER, PING]


def test_memoryview_may_be_overwritten_after_feed() -> None:
    """The transport has one receive buffer for all links."""
    buffer = bytearray(WIRE + WIRE[:50])
    reader = MessageReader()
    first = reader.feed(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert [seen(found) for found in first] == [WIRE]
    assert [seen(found) for found in reader.feed(memoryview(WIRE[50:]))] == [WIRE]


def test_unread_messages_come_with_the_next_chunk() -> None:
    reader = MessageReader()
    reader.feed(WIRE)
    assert seen(next(reader.feed(ANSWER))) == WIRE
    assert [seen(found) for found in reader.feed(b"")] == [ANSWER]


@pytest.mark.parametrize(
    ("expects", "data", "found"),
    [
        (PING, b"\r\n\r\n", [PING]),
        (PING, b"\r\n", []),
        (PING, b"\r\n\r\n\r\n\r\n", [PING, PING]),
        (PING, b"\r\n" + WIRE, [WIRE]),
        (PONG, b"\r\n", [PONG]),
        (PONG, b"\r\n" + WIRE, [PONG, WIRE]),
        (PONG, b"\r", []),
    ],
)
def test_keepalive_depends_on_the_side_of_the_link(
    expects: Keepalive, data: bytes, found: list[bytes | Keepalive]
) -> None:
    """RFC 5626 4.4.1; a stray CRLF before a message is ignored (RFC 3261 7.5)."""
    assert read(data, expects=expects) == found


def test_messages_before_an_error_are_given_first() -> None:
    reader = MessageReader()
    stream = reader.feed(WIRE + b"\x16\x03\x01\r\n\r\n")
    assert seen(next(stream)) == WIRE
    with pytest.raises(FramingError) as wrong:
        next(stream)
    assert wrong.value.request is None


def test_nothing_is_read_after_a_fault() -> None:
    """The rest of a refused message must not be taken for a message of its own."""
    reader = MessageReader()
    smuggled = WIRE.replace(b"Content-Length: 29", b"X: 1")
    with pytest.raises(FramingError):
        list(reader.feed(smuggled + WIRE))
    assert list(reader.feed(WIRE)) == []
    assert "broken" in repr(reader)


@pytest.mark.parametrize(
    ("length", "status"),
    [
        (b"X: none", 400),
        (b"Content-Length: -1", 400),
        (b"Content-Length: 29\r\nContent-Length: 29", 400),
        (b"Content-Length: 29\r\nl: 0", 400),
        (b"Content-Length: 1e3", 400),
        (b"Content-Length: 131073", 413),
        (b"Content-Length: " + b"9" * 9000, 413),
    ],
)
def test_stream_without_message_boundary_is_answered_and_closed(length: bytes, status: int) -> None:
    wrong = fault(WIRE.replace(b"Content-Length: 29", length))
    assert wrong.status == status
    assert wrong.request is not None
    assert wrong.request.call_id == "x"
    assert str(wrong).count("(RFC") == 1


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\r\n", b"\n\n"])
def test_a_lone_line_break_in_a_header_is_refused(end: bytes) -> None:
    """Readers downstream take it for the end of a line, and would see a field here that we did not."""
    wrong = fault(
        WIRE.replace(b"Content-Length", b"Subject: x" + end + b"P-Asserted-Identity: <sip:boss@example.test>\r\nl")
    )
    assert (wrong.status, wrong.rule) == (400, "RFC 3261 7")


def test_lone_line_break_in_a_body_is_allowed() -> None:
    assert read(WIRE.replace(b"\r\n\r\nSIP", b"\n\r\r\nSIP")) == [WIRE.replace(b"\r\n\r\nSIP", b"\n\r\r\nSIP")]


def test_an_ack_or_a_response_is_never_offered_for_an_answer() -> None:
    assert fault(WIRE.replace(b"MESSAGE", b"ACK").replace(b"Content-Length: 29", b"X: 1")).request is None
    assert fault(ANSWER.replace(b"Content-Length: 0", b"X: 1")).request is None


def test_request_without_a_field_for_the_answer_is_not_offered() -> None:
    assert fault(WIRE.replace(b"Content-Length: 29", b"X: 1").replace(b"Call-ID", b"Other")).request is None


HEAD = WIRE.index(b"\r\n\r\n")
START = WIRE.index(b"\r\n")
ROWS = WIRE[:HEAD].count(b"\r\n")
EXACT = ReadLimits(start_line=START, header=HEAD, growth=0, body=29, fields=ROWS, items=1)


@pytest.mark.parametrize(
    ("limits", "status", "answerable"),
    [
        (replace(EXACT, start_line=START - 1), 414, True),
        (replace(EXACT, header=HEAD - 1, growth=0), 513, True),
        (replace(EXACT, body=28), 413, True),
    ],
)
def test_message_at_each_limit_passes_and_one_past_it_does_not(
    limits: ReadLimits, status: int, *, answerable: bool
) -> None:
    assert read(WIRE, limits=EXACT) == [WIRE]
    assert read(*[bytes([octet]) for octet in WIRE], limits=EXACT) == [WIRE]
    wrong = fault(WIRE, limits)
    assert (wrong.status, wrong.request is not None) == (status, answerable)


@pytest.mark.parametrize(
    ("limits", "flaws"),
    [
        (EXACT, 0),
        (replace(EXACT, header=HEAD - 1, growth=1), TOO_MANY),
        (replace(EXACT, fields=ROWS - 1), TOO_MANY),
        (replace(EXACT, items=0, fields=ROWS), TOO_MANY),
    ],
)
def test_message_above_a_limit_is_marked_and_the_stream_continues(limits: ReadLimits, flaws: int) -> None:
    """A server must not lose its link to another one by a message of one user."""
    found = [one for one in MessageReader(limits).feed(WIRE * 2) if isinstance(one, Request)]
    assert [one.flaws for one in found] == [flaws, flaws]
    assert parse_message(WIRE, limits).flaws == flaws


@pytest.mark.parametrize(("count", "flaws"), [(256, 0), (257, TOO_MANY)])
@pytest.mark.parametrize("name", ["Via", "Route", "Record-Route", "Contact", "Path", "Supported", "Require", "Accept"])
@pytest.mark.parametrize("in_one_row", [True, False])
def test_list_at_its_limit_passes_and_one_past_it_is_marked(
    name: str, count: int, flaws: int, *, in_one_row: bool
) -> None:
    items = [b'<sip:a,b@x>;c="d,e"'] * count
    rows = [b",".join(items)] if in_one_row else [b", ".join(items[:200]), *items[200:]]
    head = b"".join(b"%s: %s\r\n" % (name.encode(), row) for row in rows)
    data = WIRE.replace(WIRE[: WIRE.index(b"From")], b"MESSAGE sip:b@example.test SIP/2.0\r\n" + head)
    assert [one.flaws for one in MessageReader().feed(data) if isinstance(one, Request)] == [flaws]


def test_commas_in_text_fields_are_not_items() -> None:
    text = WIRE.replace(b"\r\nContent", b"\r\nSubject: " + b"," * 9_000 + b"\r\nContent")
    assert [one.flaws for one in MessageReader().feed(text) if isinstance(one, Request)] == [0]


def test_a_start_line_without_end_is_refused_at_its_limit() -> None:
    limits = ReadLimits(start_line=100)
    assert read(b"x" * 100 + b"\r", limits=limits) == []
    wrong = fault(b"x" * 102, limits)
    assert (wrong.status, wrong.request) == (414, None)


def test_header_without_end_is_refused_at_its_limit_and_answered() -> None:
    start = WIRE[:HEAD] + b"\r\nX-Filler: "
    room = 1000 - len(start)
    limits = ReadLimits(header=900, growth=100, start_line=200)
    assert read(start + b"x" * room + b"\r\n\r", limits=limits) == []
    wrong = fault(start + b"x" * (room + 4), limits)
    assert wrong.status == 513
    assert wrong.request is not None
    assert wrong.request.cseq.method == "MESSAGE"


def test_a_header_without_end_that_is_not_sip_is_just_closed() -> None:
    assert fault(b"hello\r\nthere\r\n" + b"x" * 1000, ReadLimits(header=100, growth=0)).request is None


def test_limits_may_be_raised_between_messages() -> None:
    """A link turns out to be a server's, which may send more."""
    reader = MessageReader(ReadLimits(body=10))
    small = build_request("MESSAGE", "sip:b@example.test", NEEDED, b"0123456789").encode()
    stream = reader.feed(small + WIRE)
    assert seen(next(stream)) == small
    reader.limits = ReadLimits(body=29)
    assert seen(next(stream)) == WIRE


def test_a_reader_describes_itself() -> None:
    reader = MessageReader(expects=PONG)
    list(reader.feed(WIRE[:-5]))
    assert repr(reader) == "<MessageReader 24 octets unread, 29 octets of body awaited, expects PONG>"


@examples(300)
@given(
    st.lists(
        st.sampled_from([b"\r\n", b"\r", b"\n", b" ", b":", b"SIP/2.0", b"200", b"l: 1", b"A", b"\xff"]), max_size=20
    )
)
def test_any_octets_are_read_or_refused(parts: list[bytes]) -> None:
    for expects in Keepalive:
        reader = MessageReader(ReadLimits(start_line=20, header=60), expects=expects)
        try:
            for part in parts:
                list(reader.feed(part))
        except FramingError as wrong:
            assert wrong.rule  # noqa: PT017 - not raising is as good an outcome


def test_a_frame_is_one_message_and_needs_no_length() -> None:
    """RFC 7118: a WebSocket message holds one SIP message."""
    bare = WIRE.replace(b"Content-Length: 29\r\n", b"")
    assert parse_message(bare).body == MESSAGE.body
    assert parse_message(b"\r\n" + WIRE + b"trailing").encode() == WIRE


@pytest.mark.parametrize(
    ("data", "status"),
    [(WIRE[:-1], 400), (b"hello", 400), (WIRE.replace(b": 29", b": x"), 400), (WIRE + b"x" * 131072, 413)],
)
def test_a_frame_that_breaks_a_rule_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(RemoteError) as wrong:
        parse_message(data)
    assert wrong.value.status == status


@pytest.mark.parametrize("extra", [b"x", WIRE])
def test_frame_with_octets_behind_its_message_is_refused_if_it_has_to_be_alone(extra: bytes) -> None:
    """RFC 7118 section 5: a WebSocket message MUST NOT contain more than one SIP message."""
    assert parse_message(WIRE, alone=True).encode() == WIRE
    with pytest.raises(FramingError, match=f"{len(extra)} octets behind the body") as wrong:
        parse_message(WIRE + extra, alone=True)
    assert (wrong.value.status, wrong.value.request is not None) == (400, True)


@pytest.mark.parametrize(("length", "status"), [(16_384, 0), (16_385, 414)])
def test_start_line_of_a_frame_has_its_limit(length: int, status: int) -> None:
    line = WIRE.partition(b"\r\n")[0]
    data = WIRE.replace(b"example.test", b"e" * (length - len(line)) + b"example.test", 1)
    try:
        parse_message(data)
    except FramingError as wrong:
        assert wrong.status == status  # noqa: PT017 - not raising is the other outcome
    else:
        assert not status


@pytest.mark.parametrize("length", [98_304, 98_305])
def test_header_of_a_frame_has_its_limit(length: int) -> None:
    head, _, body = WIRE.partition(b"\r\n\r\n")
    data = head + b"\r\nX: " + b"x" * (length - len(head) - 5) + b"\r\n\r\n" + body
    if length == 98_304:
        assert parse_message(data).flaws
    else:
        with pytest.raises(FramingError, match="a header above the limit"):
            parse_message(data)


@pytest.mark.parametrize("size", [40_000, 131_072])
@pytest.mark.wide
def test_body_in_pieces_takes_memory_in_proportion_to_its_octets(size: int) -> None:
    """A peer may send a body in TLS records of two octets. One object for each would take twenty times the memory."""
    reader = MessageReader()
    reader.add(WIRE.partition(b"\r\n\r\n")[0].replace(b": 29", b": %d" % size) + b"\r\n\r\n")
    assert reader.next() is None
    tracemalloc.start()
    for number in range(size // 2 - 1):
        reader.add(number.to_bytes(3, "big")[1:])
        assert reader.next() is None
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < size * 1.5
    reader.add(b"ab")
    message = reader.next()
    assert isinstance(message, Request)
    assert len(message.body) == size


@pytest.mark.parametrize(("more", "too_long"), [(0, False), (1, True)])
def test_message_may_have_at_most_so_many_rows(more: int, *, too_long: bool) -> None:
    message = build_request("MESSAGE", "sip:b@example.test", NEEDED)
    while len(message.rows) < MAX_ROWS + more:
        message.append("x-row", "1")
    assert is_too_long(message, len(message.encode())) is too_long


@pytest.mark.parametrize(("more", "too_long"), [(0, False), (1, True)])
def test_header_may_have_at_most_so_many_octets(more: int, *, too_long: bool) -> None:
    """The body does not count."""
    message = build_request("MESSAGE", "sip:b@example.test", NEEDED)
    message.body = b"x" * 1_000
    assert is_too_long(message, MAX_HEADER + 1_000 + more) is too_long
