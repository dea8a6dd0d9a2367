"""What the history has of a message: text, base64 or only that there was one; of whom, as the receiver may know it."""

from __future__ import annotations

import pytest

from sipmesh.routing.events.history_entry import (
    LARGEST,
    LONGEST_ID,
    WITHHELD,
    Written,
    address_of,
    is_kept,
    sender_of,
    written,
)
from sipmesh.sip.message import Request, parse_head

ALICE = "sip:alice@example.test"


def message(
    body: bytes = b"hello", *rows: str, kind: str = "text/plain", to: str = "<sip:bob@example.test>"
) -> Request:
    head = [
        "MESSAGE sip:bob@example.test SIP/2.0",
        "Via: SIP/2.0/TLS a.test;branch=z9hG4bK1",
        f"From: <{ALICE}>;tag=1",
        f"To: {to}",
        "Call-ID: 1",
        "CSeq: 1 MESSAGE",
        *([f"Content-Type: {kind}"] if kind else []),
        *rows,
    ]
    request = parse_head("\r\n".join(head).encode())
    assert isinstance(request, Request)
    request.body = body
    return request


def made(request: Request) -> Written:
    return written(request, b"k", "bob@example.test", "alice@example.test", mine=True, proved=True)


@pytest.mark.parametrize(
    ("kind", "to", "is_so"),
    [
        ("text/plain", "<sip:bob@example.test>", True),
        ("", "<sip:bob@example.test>", True),
        ("message/imdn+xml", "<sip:bob@example.test>", False),
        ("application/im-iscomposing+xml", "<sip:bob@example.test>", False),
        ("text/plain", "<sip:bob@example.test>;tag=2", False),
    ],
)
def test_messages_outside_dialogs_are_kept_and_states_of_the_moment_are_not(kind: str, to: str, *, is_so: bool) -> None:
    assert is_kept(message(kind=kind, to=to)) is is_so


def test_what_is_kept_is_read_again() -> None:
    told = made(message("grüße \u202e".encode(), "Subject: <b>"))
    assert Written.read(told.octets()) == told
    shown = told.as_json(1_796_176_106_226_953)
    assert (shown["time"], shown["text"], shown["subject"]) == ("2026-12-02T01:48:26.226+00:00", "grüße \u202e", "<b>")


def test_message_has_the_number_and_call_that_a_device_has_seen() -> None:
    """A row of before has none, and is read all the same."""
    request = message()
    assert made(request).as_json(0)["id"] == "1 1"
    request.remove("call-id")
    request.append("call-id", "x" * 200)
    assert made(request).id == f"1 {'x' * 200}"[:LONGEST_ID]
    before = made(request).octets().replace(b', "id": "', b', "another": "')
    told = Written.read(before)
    assert told is not None
    assert "id" not in told.as_json(0)


@pytest.mark.parametrize(
    ("body", "kind", "key", "value"),
    [
        (b"\xff", "image/png", "base64", "/w=="),
        (b"x" * LARGEST, "text/plain", "text", "x" * LARGEST),
        (b"x" * (LARGEST + 1), "text/plain", "left", "too large"),
        (b"x", 'multipart/encrypted;protocol="application/lime"', "left", "encrypted"),
        (b"?OTR:AAMC", "text/plain", "left", "encrypted"),
    ],
)
def test_body_is_text_or_base64_or_left_out(body: bytes, kind: str, key: str, value: str) -> None:
    shown = made(message(body, kind=kind)).as_json(0)
    assert shown[key] == value
    assert len({"text", "base64", "left"} & set(shown)) == 1


@pytest.mark.parametrize("octets", [b"", b"{}", b"[1]", b"\xff", b'{"key": 1}'])
def test_row_of_another_release_is_none(octets: bytes) -> None:
    assert Written.read(octets) is None


def test_sender_is_the_proved_one_and_anonymous_if_it_withholds() -> None:
    assert sender_of(message(), "sip:carol@example.test") == "carol@example.test"
    assert sender_of(message(), None) == "alice@example.test"
    assert sender_of(message(b"", "Privacy: id"), ALICE) == WITHHELD
    assert sender_of(message(b"", "Privacy: none"), ALICE) == "alice@example.test"


def test_number_is_an_address() -> None:
    assert address_of(message(to="<tel:+4930123;phone-context=x>").to) == "+4930123"
