"""Header rows: read lazily, edited one by one, every other byte kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipmesh.errors import LocalError, RemoteError
from sipmesh.sip.message import Request
from sipmesh.sip.rows import rows_of

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


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")), max_size=6))
def test_any_rows_can_be_walked_and_written(rows: list[bytes]) -> None:
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
@pytest.mark.parametrize("name", ["Contact", "Route", "Record-Route", "Path"])
def test_rows_of_long_address_lists_are_not_cached(name: str, commas: int, *, kept: bool) -> None:
    """4,096 rows are kept, and 64 addresses fit into the longest line of them."""
    line = f"{name}: " + ",".join(["<a:>"] * (commas + 1))
    assert (rows_of([line])[0] is rows_of([line])[0]) is kept
