"""The header of a message: read, edited, written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.odd_request import CANONICAL
from sipmesh.errors import LocalError, RemoteError
from sipmesh.sip.header import content_length
from sipmesh.sip.message import Request, build_request
from sipmesh.sip.names import GUARDED
from sipmesh.sip.rows import header_rows, rows_of

ANY = ("utf-8", "surrogateescape")


def test_items_come_from_all_rows(request_: Request) -> None:
    assert [item.split(";")[0][-9:] for item in request_.items("via")] == ["a.example", "b.example", "c.example"]
    assert request_.items("route") == ["<sip:one;lr>", "<sip:a,b@two;lr>", "<sip:three;lr>"]
    assert request_.items("supported") == request_.items("require") == []


def test_typed_fields(request_: Request) -> None:
    assert (request_.top_via.host, request_.top_via.branch) == ("a.example", "z9hG4bK1")
    assert (request_.from_.tag, request_.to.tag, request_.call_id) == ("1", None, "x@y")
    assert (str(request_.cseq), request_.max_forwards, request_.expires) == ("7 OPTIONS", 70, None)
    assert [route.uri for route in request_.routes] == ["sip:one;lr", "sip:a,b@two;lr", "sip:three;lr"]


def test_typed_fields_are_read_once_and_again_after_an_edit(request_: Request) -> None:
    first = request_.top_via
    assert request_.top_via is first
    request_.prepend("via", "SIP/2.0/TLS me.example;branch=z9hG4bK0")
    assert request_.top_via.host == "me.example"
    request_.pop_item("via")
    assert request_.top_via == first


def test_an_edit_leaves_every_other_row_alone(request_: Request) -> None:
    before = list(request_.lines)
    request_.prepend("via", "SIP/2.0/TLS me.example;branch=z9hG4bK0")
    request_.replace("max-forwards", "69")
    request_.prepend("record-route", "<sip:me;lr>")
    request_.append("p-asserted-identity", "<sip:a@example.test>")
    after = request_.lines
    assert after[0] == b"Record-Route: <sip:me;lr>"
    assert after[1] == b"Via: SIP/2.0/TLS me.example;branch=z9hG4bK0"
    assert after[2:4] == before[0:2]
    assert after[4] == b"Max-Forwards: 69"
    assert after[5:-1] == before[3:]
    assert after[-1] == b"P-Asserted-Identity: <sip:a@example.test>"


def test_popping_items_walks_through_the_rows(request_: Request) -> None:
    assert request_.pop_item("route") == "<sip:one;lr>"
    assert b"Route: <sip:a,b@two;lr>" in request_.lines
    assert request_.pop_item("route") == "<sip:a,b@two;lr>"
    assert request_.pop_item("route") == "<sip:three;lr>"
    assert request_.pop_item("route") is None
    assert request_.count("route") == 0


def test_popping_a_folded_item_gives_it_unfolded(request_: Request) -> None:
    request_.pop_item("via")
    assert request_.lines[0] == b"Via: SIP/2.0/TLS b.example;branch=z9hG4bK2"
    request_.pop_item("via")
    assert request_.pop_item("via") == "SIP/2.0/TLS c.example;branch=z9hG4bK3"


def test_removing_takes_all_rows_of_a_name(request_: Request) -> None:
    request_.remove("route")
    request_.remove("expires")
    assert (request_.count("route"), len(request_.lines), len(request_.names)) == (0, 11, 11)


def test_names_of_the_border_table_are_present_until_the_last_row_with_one_is_gone(request_: Request) -> None:
    request_.append("history-info", "<sip:a@example.test>;index=1")
    request_.append("diversion", "")
    assert request_.first_item("diversion") is None  # the empty row is removed
    assert request_.has("history-info")
    assert request_.present & GUARDED
    request_.remove("history-info")
    assert not request_.has("history-info")
    assert not request_.present & GUARDED


def test_replacing_a_missing_field_appends_it(request_: Request) -> None:
    request_.replace("expires", "60")
    assert request_.lines[-1] == b"Expires: 60"
    assert request_.expires == 60


def test_a_copy_is_independent(request_: Request) -> None:
    other = request_.copy()
    other.remove("via")
    other.set_uri("sip:carol@example.test")
    assert request_.count("via") == 2
    assert (request_.ruri.user, other.ruri.user) == ("bob", "carol")
    assert request_.encode() == CANONICAL + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max-forwards", "256"),
        ("max-forwards", "-1"),
        ("max-forwards", ""),
        ("expires", "soon"),
        ("call-id", "a b"),
        ("call-id", ""),
        ("cseq", "x"),
        ("via", "x"),
        ("from", "x"),
        ("to", ""),
        ("contact", "<sip:a@b>,"),
        ("route", "<sip:a@b>;;"),
    ],
)
def test_a_malformed_field_is_a_bad_request_when_read(request_: Request, name: str, value: str) -> None:
    request_.remove(name)
    request_.append(name, value)
    attribute = {"via": "top_via", "from": "from_", "contact": "contacts", "route": "routes"}.get(name, name)
    with pytest.raises(RemoteError) as wrong:
        getattr(request_, attribute.replace("-", "_"))
    assert wrong.value.status == 400


@pytest.mark.parametrize("attribute", ["top_via", "from_", "to", "call_id", "cseq"])
def test_a_missing_field_is_a_bad_request_when_read(attribute: str) -> None:
    with pytest.raises(RemoteError):
        getattr(Request("OPTIONS", "sip:a", []), attribute)


def test_fields_that_may_be_missing() -> None:
    bare = Request("OPTIONS", "sip:a", [])
    assert (bare.max_forwards, bare.expires, bare.contacts, bare.routes, content_length(bare)) == (
        None,
        None,
        [],
        [],
        None,
    )


def test_star_contact_is_a_contact(request_: Request) -> None:
    request_.append("contact", "*")
    assert [contact.uri for contact in request_.contacts] == ["*"]


def test_expires_stops_at_its_greatest_value(request_: Request) -> None:
    request_.append("expires", "9" * 5000)
    assert request_.expires == 2**32 - 1


@pytest.mark.parametrize(("rows", "length"), [([b"Content-Length: 12"], 12), ([b"l:0"], 0), ([], None)])
def test_content_length_is_read(rows: list[bytes], length: int | None) -> None:
    assert content_length(Request("A", "sip:a", rows_of([row.decode(*ANY) for row in rows]))) == length


@pytest.mark.parametrize(
    "rows",
    [
        [b"Content-Length: -1"],
        [b"Content-Length: 5, 5"],
        [b"Content-Length: 5", b"l: 5"],
        [b"Content-Length:"],
        [b"Content-Length: +5"],
        [b"Content-Length: \xd9\xa1"],
    ],
)
def test_ambiguous_content_length_is_refused(rows: list[bytes]) -> None:
    with pytest.raises(RemoteError):
        content_length(Request("A", "sip:a", rows_of([row.decode(*ANY) for row in rows])))


@given(st.text(alphabet=st.sampled_from('a,<>" \t;\\'), max_size=20))
def test_popping_agrees_with_splitting(value: str) -> None:
    """For any row, its items come off one by one as they were listed; a list with an empty one is refused."""
    request = Request("A", "sip:a", rows_of(["Route: " + value]))
    items = request.items("route")
    if "" in items:
        with pytest.raises(RemoteError):
            request.pop_item("route")
        return
    for item in items:
        assert request.first_item("route") == item
        assert request.pop_item("route") == item


@pytest.mark.parametrize(("left", "then"), [(255, "254"), (70, "69"), (1, "0")])
def test_spent_hop_is_one_less_in_the_same_place(left: int, then: str) -> None:
    """RFC 3261 16.6 item 3: the proxy MUST decrement the value by one."""
    asked = build_request("OPTIONS", "sip:a.test", [("max-forwards", str(left)), ("subject", "x")])
    asked.spend_hop()
    assert asked.lines[0] == f"Max-Forwards: {then}".encode()


@pytest.mark.parametrize("headers", [[("max-forwards", "0")], []])
def test_max_forwards_of_zero_cannot_be_spent(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(LocalError, match="no hop"):
        build_request("OPTIONS", "sip:a.test", headers).spend_hop()


@pytest.mark.parametrize(
    ("vias", "left"),
    [
        (["SIP/2.0/TLS a;branch=1"], ["SIP/2.0/TLS c;branch=9"]),
        (["SIP/2.0/TLS a;branch=1", "SIP/2.0/TLS b"], ["SIP/2.0/TLS c;branch=9", "SIP/2.0/TLS b"]),
        (["SIP/2.0/TLS a;branch=1, SIP/2.0/TLS b"], ["SIP/2.0/TLS c;branch=9", "SIP/2.0/TLS b"]),
        ([], ["SIP/2.0/TLS c;branch=9"]),
    ],
)
def test_top_via_is_replaced_alone(vias: list[str], left: list[str]) -> None:
    message = Request("MESSAGE", "sip:a@b.test", header_rows([("via", via) for via in vias]))
    message.replace_via("SIP/2.0/TLS c;branch=9")
    assert message.values("via") == left
    assert message.top_via.branch == "9"


@pytest.mark.parametrize(
    ("vias", "left"),
    [
        (["SIP/2.0/TLS a;branch=1"], []),
        (["SIP/2.0/TLS a;branch=1", "SIP/2.0/TLS b"], ["SIP/2.0/TLS b"]),
        (["SIP/2.0/TLS a;branch=1, SIP/2.0/TLS b"], ["SIP/2.0/TLS b"]),
        ([], []),
    ],
)
def test_top_via_is_removed_alone(vias: list[str], left: list[str]) -> None:
    message = Request("MESSAGE", "sip:a@b.test", header_rows([("via", via) for via in vias]))
    message.pop_via()
    assert (message.values("via"), message.has("via")) == (left, bool(left))
