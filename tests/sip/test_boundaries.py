"""What we pass on has one meaning: other readers find the fields, the length and the body in it that we have found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.sip.framing import parse_message
from support.examples import examples
from support.other_readers import by_the_grammar
from support.passing_on import BODY, HEAD, REQUEST, RESPONSE, assert_read_alike, passed_on

# Blanks, line ends, digits and letters that some readers take for those of SIP, and SIP's own.
MANGLES = [
    *(bytes([octet]) for octet in (*range(32), 0x7F, 0x85, 0xA0, 0xFF)),
    *(chr(point).encode() for point in (0x80, 0x85, 0x9B, 0xA0, 0x130, 0x17F, 0x1680, 0x2003, 0x2028, 0x2029, 0x212A)),
    *(chr(point).encode() for point in (0x3000, 0xFEFF, 0x661, 0xFF11, 0xFF1A, 0x1D7CE)),
    b"\r\n",
    b"\r\n ",
    b"\r\n\t",
    b"\r\n \r\n ",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b'"',
    b"\\",
    b"\\\0",
    b"\\\x07",
    b"<",
    b">",
    b"@",
    b"0",
    b"+",
    b"-",
    b"\r\nl: 0",
    b"\r\nContent-Length : 4",
    b"\r\nContent-Length\t:\r\n 4",
    b"\r\n\xe2\x84\xaa: outbound",
]


@pytest.mark.parametrize("message", [REQUEST, RESPONSE])
def test_valid_messages_pass_and_both_parsers_agree(message: bytes) -> None:
    assert passed_on(message) is not None
    assert_read_alike(message)


@examples(1000, 3000)
@given(
    st.sampled_from([REQUEST, RESPONSE]),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 2), st.sampled_from(MANGLES)), min_size=1, max_size=4),
)
def test_mangled_messages_are_refused_or_both_parsers_agree(
    message: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    """Each change puts octets into the header, in place of up to two that were there."""
    for at, length, octets in changes:
        place = at % (message.find(b"\r\n\r\n") + 1 or 1)
        message = message[:place] + octets + message[place + length :]
    assert_read_alike(message)


@examples(400, 1000)
@given(
    st.sampled_from([REQUEST, RESPONSE]),
    st.integers(0, len(HEAD) - 1),
    st.sampled_from([b"", b" ", b"\t", b"\r\n ", *MANGLES]),
    st.sampled_from([b"", b" ", b"\t", b"\r\n ", *MANGLES]),
    st.sampled_from([b"", *MANGLES]),
)
def test_mangled_edges_of_a_field_are_refused_or_both_parsers_agree(
    message: bytes, row: int, before: bytes, after: bytes, behind: bytes
) -> None:
    """Round its colon and at its end, where Unicode's strip() would take away more than SIP's blanks."""
    name, _, value = HEAD[row].partition(b": ")
    assert_read_alike(message.replace(HEAD[row], name + before + b":" + after + value + behind, 1))


@pytest.mark.parametrize("message", [REQUEST, RESPONSE])
def test_text_around_content_length_does_not_change_it(message: bytes) -> None:
    length = b"%d" % len(BODY)
    for mangle in MANGLES:
        for value in (mangle + length, length + mangle, length[:1] + mangle + length[1:]):
            assert_read_alike(message.replace(b"Content-Length: " + length, b"Content-Length: " + value))


LENGTH = b"Content-Length: %d" % len(BODY)


@pytest.mark.parametrize(
    "spelled",
    [
        b"l:%d" % len(BODY),
        b"L :\t %d \t" % len(BODY),
        b"CONTENT-length:\r\n %d" % len(BODY),
        b"Content-Length\t: 000%d" % len(BODY),
        b"Content-Length: %d\r\n " % len(BODY),
    ],
)
@pytest.mark.parametrize("message", [REQUEST, RESPONSE])
def test_content_length_is_sent_in_canonical_form(message: bytes, spelled: bytes) -> None:
    sent = passed_on(message.replace(LENGTH, spelled))
    assert sent is not None
    assert sent == passed_on(message)


@pytest.mark.parametrize(
    ("old", "new", "out"),
    [
        (b"CSeq: 7 MESSAGE", b"CSEQ\t:\t0007\r\n\tMESSAGE ", b"CSeq: 7 MESSAGE"),
        (b"Subject: ", b"Subject:\r\n \r\n\t", b"Subject: "),
        (b"To: Bob <", b'To: "B\\\0\\\x7fb" <', b'To: "B??b" <'),
        (b"Call-ID: ", b"i \t: ", b"i: "),
    ],
)
def test_ambiguous_fields_are_sent_in_canonical_form(old: bytes, new: bytes, out: bytes) -> None:
    sent = passed_on(REQUEST.replace(old, new))
    assert sent == (passed_on(REQUEST) or b"").replace(old, out)


def test_content_length_is_added_to_a_frame_without_it() -> None:
    """A WebSocket frame says where its message ends (RFC 7118 section 5); on the next link nothing does."""
    frame = parse_message(REQUEST.replace(LENGTH + b"\r\n", b""))
    assert by_the_grammar(frame.encode()).body == BODY


CONTROLS = [*map(chr, (*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, *range(0x80, 0xA0), 0x2028, 0x2029))]


@pytest.mark.parametrize(
    "text",
    [
        b"tag=a1",
        b"Call-ID: f81d",
        b"SIP/2.0/TLS 192",
        b"z9hG4bK1",
        b";rport",
        b"b.example",
        b"Bob <",
        b"CSeq: 7",
        b"MESSAGE\r\nContact",
        b"expires=60",
        b"<sip:one",
        b"outbound",
        b"Subject: caf",
        b"Supported",
        b'"Al',
        b'"y z',
        b"sip:bob@example.test SIP",
    ],
)
def test_control_characters_are_refused_in_every_place(text: bytes) -> None:
    assert text in REQUEST
    for control in CONTROLS:
        for half in (len(text) // 2, len(text)):
            mangled = REQUEST.replace(text, text[:half] + control.encode() + text[half:], 1)
            assert passed_on(mangled) is None, (control, half)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Supported:", "\u212a:".encode()),
        (b" SIP/2.0\r\n", " \u017fIP/2.0\r\n".encode()),
        (b"tag=a1", "tag=a\u00a01".encode()),
        (b"z9hG4bK1", "z9hG4bK\u0661".encode()),
        (b"f81d4fae@", b"f81d4fae@a@"),
        (b"f81d4fae@", b"f81d,4fae@"),
        (b"f81d4fae@", "f81d\u20094fae@".encode()),
        (b"CSeq: 7", "CSeq: \u0667".encode()),
        (b"Forwards: 70", "Forwards: \uff17\uff10".encode()),
        (b"192.0.2.1:5061", "192.0.2.1:\u0665061".encode()),
        (b"SIP/2.0/TLS 192", "SIP/2.0/TLS\u00a0192".encode()),
        (b"SIP/2.0/TLS b.", "\u017fIP/2.0/TLS b.".encode()),
        (b"branch=z9hG4bK2", b"branch=z9hG4bK2 x"),
        (b"b.example;", b"b.example;;"),
        (b"<sip:two.example;lr>", b"<sip:two.ex\xc3\xa4mple;lr>"),
        (b"<sip:two.example;lr>", b""),
        (b"expires=60", b"expires=6@0"),
        (b"Content-Length: ", "Content-Length: \u00a0".encode()),
        (b"Content-Length: ", "Content-Length\u00a0: ".encode()),
        (b"Content-Length: ", b"Content-Length: +"),
        (b"Content-Length: ", b"Content-Length: 1, "),
    ],
)
def test_text_outside_the_sip_grammar_is_refused(old: bytes, new: bytes) -> None:
    assert REQUEST.count(old) >= 1
    assert passed_on(REQUEST.replace(old, new, 1)) is None
