"""Which messages are stored, what is kept of them, and what the phone gets later."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from routing.messages import ALICE, BOB, CONTACT, request
from sipmesh.errors import RemoteError
from sipmesh.routing.events.stored_message import (
    LARGEST,
    LARGEST_HEADER,
    MOST_ROWS,
    delivery,
    is_deliverable,
    is_receipt,
    is_storable,
    message_key,
    stored_octets,
)
from sipmesh.sip.message import Request

AT = datetime(2026, 11, 26, 7, 0, tzinfo=UTC)
TEXT = ("content-type", "text/plain")


def message(*headers: tuple[str, str], body: bytes = b"hello") -> Request:
    asked = request("MESSAGE", BOB, *headers)
    asked.body = body
    return asked


@pytest.mark.parametrize(
    ("headers", "storable"),
    [
        ((TEXT,), True),
        ((("content-type", "message/cpim"),), True),
        ((("content-type", "message/imdn+xml"),), False),
        ((("content-type", "application/im-iscomposing+xml; charset=utf-8"),), False),
        ((TEXT, ("require", "recipient-list-message")), False),
        ((TEXT, ("expires", "0")), False),
        ((TEXT, ("expires", "60")), True),
    ],
)
def test_message_is_stored_if_it_is_worth_something_later(
    headers: tuple[tuple[str, str], ...],
    *,
    storable: bool,
) -> None:
    assert is_storable(message(*headers)) is storable


def test_other_methods_requests_in_dialogs_and_sips_requests_are_not_stored() -> None:
    assert not is_storable(request("INVITE"))
    assert not is_storable(request("MESSAGE", to_tag="2"))
    assert not is_storable(request("MESSAGE", "sips:bob@example.test"))


def test_delivery_has_the_sender_the_text_and_the_transaction_of_the_original() -> None:
    """A phone recognises a repeated delivery by Call-ID, CSeq and From tag."""
    sent = message(TEXT, ("subject", "lunch"), ("contact", "<sip:alice@192.0.2.1>"), ("route", "<sip:fe1;lr>"))
    made, identity = delivery(stored_octets(sent, ALICE, AT), CONTACT)
    assert (made.method, made.uri, made.body, identity) == ("MESSAGE", CONTACT, b"hello", ALICE)
    assert (made.call_id, str(made.cseq), made.from_.tag) == (sent.call_id, str(sent.cseq), sent.from_.tag)
    assert (made.first("subject"), made.first("max-forwards"), made.first("content-length")) == ("lunch", "70", "5")
    assert not {"via", "route", "contact", "p-asserted-identity"} & set(made.names)


def test_date_is_that_of_the_sender_or_of_the_arrival() -> None:
    """RFC 3428 section 4."""
    assert (
        delivery(stored_octets(message(TEXT), ALICE, AT), CONTACT)[0].first("date") == "Thu, 26 Nov 2026 07:00:00 GMT"
    )
    dated = message(TEXT, ("date", "Wed, 25 Nov 2026 10:00:00 GMT"))
    assert delivery(stored_octets(dated, ALICE, AT), CONTACT)[0].values("date") == ["Wed, 25 Nov 2026 10:00:00 GMT"]


def test_identity_that_the_sender_wrote_is_replaced_by_the_proved_one() -> None:
    sent = message(TEXT, ("p-asserted-identity", "<sip:boss@example.test>"))
    assert delivery(stored_octets(sent, ALICE, AT), CONTACT)[1] == ALICE
    assert delivery(stored_octets(sent, None, AT), CONTACT)[1] is None


def test_octets_of_a_body_and_a_header_that_are_not_utf_8_survive() -> None:
    sent = message(TEXT, ("subject", "caf\udce9"), body=b"\xff\r\n\r\n\x00")
    made, _ = delivery(stored_octets(sent, ALICE, AT), CONTACT)
    assert (made.body, made.first("subject")) == (b"\xff\r\n\r\n\x00", "caf\udce9")


@pytest.mark.parametrize("octets", [b"", b"MESSAGE", b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n"])
def test_octets_that_are_no_request_are_refused(octets: bytes) -> None:
    with pytest.raises(RemoteError):
        delivery(octets, CONTACT)


def test_key_is_the_same_for_copies_of_one_message_only() -> None:
    sent = message(TEXT)
    assert message_key(sent, ALICE) == message_key(sent.copy(), ALICE)
    assert message_key(sent, ALICE) != message_key(sent, BOB)
    another_text = sent.copy()
    another_text.body = b"another text under the same Call-ID"
    assert message_key(another_text, ALICE) != message_key(sent, ALICE)
    other = sent.copy()
    other.replace("cseq", "2 MESSAGE")
    assert message_key(other, ALICE) != message_key(sent, ALICE)


def octets_of_size(rows: int, header: int, size: int) -> bytes:
    head = "\r\n".join(["MESSAGE sip:bob@example.test SIP/2.0", *["a: b"] * rows]).encode()
    return (head.ljust(header, b"b") + b"\r\n\r\n").ljust(size, b"x")


@pytest.mark.parametrize(
    ("rows", "header", "size", "is_small"),
    [
        (MOST_ROWS, 0, 0, True),
        (MOST_ROWS + 1, 0, 0, False),
        (1, LARGEST_HEADER, 0, True),
        (1, LARGEST_HEADER + 1, 0, False),
        (1, 0, LARGEST, True),
        (1, 0, LARGEST + 1, False),
    ],
)
def test_message_is_as_large_as_a_delivery_may_be(rows: int, header: int, size: int, *, is_small: bool) -> None:
    assert is_deliverable(octets_of_size(rows, header, size)) is is_small


CPIM = ("content-type", "Message/CPIM")


@pytest.mark.parametrize(
    ("headers", "body", "receipt"),
    [
        ((("content-type", "message/imdn+xml; charset=utf-8"),), b"<imdn/>", True),
        ((CPIM,), b"From: <sip:a@b>\r\n\r\nContent-Length: 7\r\nContent-Type: message/imdn+xml\r\n\r\n<imdn/>", True),
        ((CPIM,), b"From: <sip:a@b>\n\ncontent-type : message/IMDN+xml;x=1\n\n<imdn/>", True),
        ((CPIM,), b"From: <sip:a@b>\r\n\r\nContent-Type: text/plain\r\n\r\nContent-Type: message/imdn+xml", False),
        ((CPIM,), b"Content-Type: message/imdn+xml\r\n\r\nContent-Type: text/plain\r\n\r\nhello", False),
        ((CPIM,), b"From: <sip:a@b>\n\nContent-Type: application/im-iscomposing+xml\n\n<isComposing/>", True),
        ((CPIM,), b"", False),
        ((TEXT,), b"\r\n\r\nContent-Type: message/imdn+xml\r\n\r\n", False),
        ((), b"", False),
    ],
)
def test_receipt_is_known_by_the_type_of_its_content(
    headers: tuple[tuple[str, str], ...], body: bytes, *, receipt: bool
) -> None:
    sent = message(*headers, body=body)
    assert is_receipt(stored_octets(sent, ALICE, AT)) is receipt
    assert is_storable(sent) is not receipt
