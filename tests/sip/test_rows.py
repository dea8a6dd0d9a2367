"""Header rows: read lazily, edited one by one, every other byte kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import LocalError, RemoteError
from sipmesh.sip.fields import Via, ViaForm
from sipmesh.sip.message import Request
from sipmesh.sip.rows import (
    CONTROL,
    LONE_LINE_BREAK,
    Row,
    expect,
    expect_repeated,
    flaws_in,
    has_long_list,
    header_rows,
    made_row,
    named_row,
    response_rows_of,
    rows_of,
    sent_via,
)

ANY = ("utf-8", "surrogateescape")


def test_values_are_unfolded_and_stripped(request_: Request) -> None:
    assert request_.values("via")[1] == "SIP/2.0/TLS c.example;branch=z9hG4bK3"
    assert request_.first("x-odd") == "kept   as it is"
    assert request_.first("supported") == ""
    assert request_.first("expires") is None
    assert (request_.count("via"), request_.count("expires")) == (2, 0)


def test_bytes_that_are_not_utf8_survive(request_: Request) -> None:
    subject = request_.first("subject")
    assert subject is not None
    request_.replace("subject", subject)
    assert b"Subject: caf\xc3\xa9 \xff" in request_.lines


def test_a_header_that_begins_with_a_blank_leaves_later_folds_alone() -> None:
    """A parsed line is cached for other messages, so it must not depend on the lines before it."""
    assert [row.name for row in rows_of([" folded", "Subject: x"])] == ["", "subject"]
    assert [row.value for row in rows_of(["Subject: x", " folded"])] == ["x folded"]


@pytest.mark.parametrize("value", ["a\r\nEvil: 1", "a\nb", "a\rb"])
def test_a_line_break_never_gets_into_a_row(request_: Request, value: str) -> None:
    with pytest.raises(LocalError):
        request_.replace("subject", value)
    with pytest.raises(LocalError):
        request_.set_uri(value)


ROWS = st.lists(st.binary(max_size=20).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")), max_size=6)


@given(ROWS.filter(lambda rows: not any(row.startswith((b" ", b"\t")) for row in rows[1:])))
def test_any_rows_that_continue_no_other_can_be_walked_and_written(rows: list[bytes]) -> None:
    request = Request("A", "sip:a", rows_of([row.decode(*ANY) for row in rows]), b"body")
    for name in set(request.names) - {""}:
        assert len(request.values(name)) == request.count(name)
        request.items(name)
    assert request.encode() == b"\r\n".join([b"A sip:a SIP/2.0", *rows, b"", b"body"])


@pytest.mark.parametrize(
    "value",
    ["a", "a@b", "a-b.c@d.e-f", 'x(y)<z>:\\"/[]?{}', "a%@!*_+`'~", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6@192.0.2.1"],
)
def test_call_ids_of_the_grammar(value: str) -> None:
    assert Request("A", "sip:a", rows_of([f"Call-ID: {value}", f"i:{value}"])).call_id == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "@",
        "@a",
        "a@",
        "a@@b",
        "a@b@c",
        "a b",
        "a,b",
        "a;b",
        "a=b",
        "a&b",
        "\u0661",
        "\u00e9@a",
        "a\x00",
        "a\x7f@b",
        "a\u00a0",
    ],
)
def test_call_ids_outside_the_grammar_are_refused(value: str) -> None:
    with pytest.raises(RemoteError):
        _ = Request("A", "sip:a", rows_of([f"Call-ID: {value}"])).call_id


@pytest.mark.parametrize(("commas", "kept"), [(8, True), (9, False)])
@pytest.mark.parametrize("name", ["Contact", "P-Asserted-Identity", "Route", "Record-Route", "Path"])
def test_rows_of_long_address_lists_are_not_cached(name: str, commas: int, *, kept: bool) -> None:
    """4,096 rows are kept, and 64 addresses fit into the longest line of them."""
    line = f"{name}: " + ",".join(["<a:>"] * (commas + 1))
    assert (rows_of([line])[0] is rows_of([line])[0]) is kept


def one(line: str) -> Row:
    """The row of one line."""
    [row] = rows_of([line])
    return row


def test_each_field_is_parsed_when_it_is_read() -> None:
    assert one("From: <sip:a@h.test>;tag=1").address.tag == "1"
    assert [address.uri for address in one("Route: <sip:a;lr>, <sip:b;lr>").addresses] == ["sip:a;lr", "sip:b;lr"]
    assert [via.branch for via in one("Via: SIP/2.0/TLS a;branch=1, SIP/2.0/TLS b;branch=2").vias] == ["1", "2"]
    assert [via.branch for via in one("Via: SIP/2.0/TLS a;branch=1").vias] == ["1"]
    assert (one("CSeq: 7  INVITE").cseq.number, one("CSeq: 7 INVITE").cseq.method) == (7, "INVITE")
    assert (one("Max-Forwards: 70").hops, one("Content-Length: 12").length) == (70, 12)
    assert repr(one("Subject: x")) == "<Row 'Subject: x'>"


@pytest.mark.parametrize(
    ("value", "hops"), [("0", 0), ("255", 255), ("256", None), ("-1", None), ("", None), ("x", None)]
)
def test_max_forwards_is_a_number_of_one_octet(value: str, hops: int | None) -> None:
    """RFC 3261 20.22: between 0 and 255."""
    row = one(f"Max-Forwards: {value}")
    if hops is not None:
        assert row.hops == hops
        return
    with pytest.raises(RemoteError, match="not a Max-Forwards"):
        _ = row.hops


@pytest.mark.parametrize("value", ["", "-1", "1 2", "0x10", "\u0661"])
def test_content_length_has_digits_only(value: str) -> None:
    with pytest.raises(RemoteError, match="not a Content-Length"):
        _ = one(f"Content-Length: {value}").length


def test_content_length_of_any_size_stays_a_number() -> None:
    """A length beyond all limits must not wrap around."""
    assert one(f"Content-Length: {'9' * 40}").length == one(f"Content-Length: {'9' * 80}").length > 1 << 24


@pytest.mark.parametrize(
    ("line", "flaw"),
    [("Subject: x", 0), ("Subject: \xe9", 0), ("Subject: \rx", LONE_LINE_BREAK), ("Subject: \x00", CONTROL)],
)
def test_flaws_of_a_line_are_distinguished(line: str, flaw: int) -> None:
    assert flaws_in(line) == flaw


@pytest.mark.parametrize(
    ("lines", "is_long"),
    [
        (["Route: <sip:a>,<sip:b>,<sip:c>"], False),
        (["Route: <sip:a>,<sip:b>,<sip:c>,<sip:d>"], True),
        (["Route: <sip:a>,<sip:b>", "Route: <sip:c>"], False),
        (["Route: <sip:a>,<sip:b>", "Route: <sip:c>,<sip:d>"], True),
        (["Route: <sip:a>,<sip:b>", "Via: SIP/2.0/TLS a, SIP/2.0/TLS b"], False),
        (['Route: "a,b,c,d" <sip:a>'], False),
        (["Subject: a,b,c,d,e"], False),
    ],
)
def test_list_fields_are_counted_over_all_their_rows(lines: list[str], *, is_long: bool) -> None:
    """A comma inside quotes divides nothing."""
    assert has_long_list(rows_of(lines), 3) is is_long


def test_items_take_over_the_address_that_was_parsed() -> None:
    row = one("Route: <sip:a;lr>, <sip:b;lr>")
    parsed = row.addresses
    items = [one("Route: <sip:a;lr>"), one("Route: <sip:b;lr>")]
    row.hand_on(items)
    assert [item.addresses[0] is address for item, address in zip(items, parsed, strict=True)] == [True, True]


@pytest.mark.parametrize("headers", [[("subject", "x\ny")], [("sub ject", "x")], [("", "x")]])
def test_headers_of_our_own_with_a_wrong_name_or_a_line_break_are_bugs(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(LocalError):
        header_rows(headers)


def test_headers_of_our_own_are_written_with_their_usual_names() -> None:
    assert next(row.line for row in header_rows([("Call-id", "a"), ("x-odd", "b")])) == "Call-ID: a"


def test_row_that_is_expected_is_the_same_object_when_it_comes_back() -> None:
    sent = made_row("record-route", "<sip:token-of-one-call@fe1.example.test:5061;transport=tls;lr>")
    assert rows_of([sent.line])[0] is not sent
    expect(sent)
    assert rows_of([sent.line])[0] is sent
    assert sent.checked


def test_long_row_is_not_kept_though_it_is_expected() -> None:
    sent = made_row("record-route", f"<sip:{'x' * 256}@fe1.example.test;lr>")
    expect(sent)
    assert rows_of([sent.line])[0] is not sent


@pytest.mark.parametrize("tag", [None, "a1"])
def test_row_with_a_known_name_is_as_it_would_be_read(tag: str | None) -> None:
    made = named_row("from", "sip:+4930@gw.test;user=phone", tag)
    (read,) = rows_of([made.line])
    assert (made.name, made.bit, made.value, made.address) == (read.name, read.bit, read.value, read.address)
    assert (made.address.tag, made.address.sip_uri.host) == (tag, "gw.test")


FORM = ViaForm("SIP/2.0/TLS fe1.example.test:5061;branch=")


def test_a_via_that_we_have_sent_comes_back_as_the_same_row() -> None:
    """The top Via of a response is not read again, and is what reading it would give."""
    sent = sent_via(FORM, "z9hG4bK1x1")
    assert response_rows_of(["", sent.line, "To: <sip:a@b>"], 1)[0] is sent
    assert sent.via == Via.parse(sent.value)
    assert (sent.via.branch, sent.via.sent_by) == ("z9hG4bK1x1", "fe1.example.test:5061")


def test_a_via_that_we_have_not_sent_is_read() -> None:
    sent_via(FORM, "z9hG4bK1x2")
    other = "Via: SIP/2.0/TLS fe1.example.test:5061;branch=z9hG4bK1x2;received=192.0.2.1"
    row = response_rows_of(["", other], 1)[0]
    assert (row.line, row.via.param("received")) == (other, "192.0.2.1")
    assert response_rows_of([""], 1) == []


REQUEST = [
    "Via: SIP/2.0/TLS a.example.test;branch=z9hG4bK7",
    "Record-Route: <sip:t@fe1.example.test;lr>",
    "Max-Forwards: 69",
    "From: <sip:a@b>;tag=1",
    "To: <sip:c@d>",
    "Call-ID: 8@a",
    "CSeq: 9 INVITE",
]
"""The rows of a request below our Via."""


@pytest.mark.parametrize("step", [1, -1], ids=["in-order", "backwards"])
def test_what_a_response_repeats_is_the_row_of_the_request_in_any_order(step: int) -> None:
    sent, rows = sent_via(FORM, f"z9hG4bK1x4x{step}"), rows_of(REQUEST)
    expect_repeated(sent, [sent, *rows])
    repeated = [row for row in rows if row.name != "max-forwards"]
    found = response_rows_of(["", sent.line, *[row.line for row in repeated[::step]], "Server: x"], 1)
    assert [row.line for row in found] == [sent.line, *[row.line for row in repeated[::step]], "Server: x"]
    assert all(mine is theirs for mine, theirs in zip(found[1:-1], repeated[::step], strict=True))


def test_a_row_that_differs_from_that_of_the_request_is_read() -> None:
    sent, rows = sent_via(FORM, "z9hG4bK1x5"), rows_of(REQUEST)
    expect_repeated(sent, [sent, *rows])
    found = response_rows_of(["", sent.line, "To: <sip:c@d>;tag=2", "Call-ID: 8@a2", "From: <sip:a@b>;tag=1"], 1)
    assert (found[1].address.tag, found[2].call_id) == ("2", "8@a2")
    assert found[3] is rows[3]


def test_a_fold_behind_a_row_that_is_repeated_belongs_to_it() -> None:
    sent, rows = sent_via(FORM, "z9hG4bK1x6"), rows_of(REQUEST)
    expect_repeated(sent, [sent, *rows])
    found = response_rows_of(["", sent.line, rows[4].line, " ;tag=3", rows[5].line], 1)
    assert [row.name for row in found] == ["via", "to", "call-id"]
    assert found[1].address.tag == "3"


@pytest.mark.parametrize(("length", "kept"), [(256, True), (257, False)])
def test_long_row_of_a_request_is_not_kept_with_its_via(length: int, *, kept: bool) -> None:
    """The Via outlives its transaction: 4,096 of them must not keep long headers in memory."""
    sent, long = sent_via(FORM, f"z9hG4bK1x8x{length}"), f"From: <sip:a@b>;tag={'1' * (length - 20)}"
    rows = rows_of([long, *REQUEST[:1]])
    expect_repeated(sent, [sent, *rows])
    assert len(long) == length
    assert sent.repeated == (rows if kept else rows[1:])


def test_only_the_first_rows_of_a_request_with_very_many_are_compared() -> None:
    sent = sent_via(FORM, "z9hG4bK1x7")
    rows = rows_of([f"Via: SIP/2.0/TLS a;branch=z9hG4bK{number}" for number in range(40)])
    expect_repeated(sent, [sent, *rows])
    found = response_rows_of(["", sent.line, rows[0].line, rows[39].line], 1)
    assert found[1] is rows[0]
    assert (found[2].line, found[2] is rows[39]) == (rows[39].line, False)


def test_a_fold_behind_a_via_that_we_have_sent_belongs_to_it() -> None:
    """The octets before the fold are not the whole row."""
    sent = sent_via(FORM, "z9hG4bK1x3")
    rows = response_rows_of(["", sent.line, " ;received=192.0.2.1", "To: <sip:a@b>"], 1)
    assert [row.name for row in rows] == ["via", "to"]
    assert rows[0].via.param("received") == "192.0.2.1"
