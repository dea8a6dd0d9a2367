from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.messages import ALICE, BOB, FE2, request, row
from sipmesh.errors import RemoteError
from sipmesh.routing.proxy.forwarding import (
    ListenerAddress,
    branch_copy,
    contact_host,
    creates_dialog,
    hides_history,
    identity_for,
    record_routes,
    recorded_behind,
    recorded_token,
    renew_token,
    repeat_record_routes,
    repeats_record_routes,
    uri_of_entry,
    wants_privacy,
)
from sipmesh.routing.target import FlowTarget, RemoteFlowTarget, ServerTarget, Target
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request, parse_head, respond
from sipmesh.sip.rows import P_ASSERTED_IDENTITY, ROUTE, made_row, rows_of
from sipmesh.trust.evidence import LinkKind

VIA = "SIP/2.0/TLS fe1.example.test:5061;branch=z9hG4bK-ours"
INSIDE, OUTSIDE = ListenerAddress("edge1.example.test", 5062), ListenerAddress("sip.example.test", 5061)
HERE = FlowTarget(1, b"o", "sip:bob@10.0.0.1")
ONWARD = ServerTarget((FE2,), LinkKind.SERVER, BOB)


def copied(asked: Request, target: Target = HERE, *recorded: str, identity: str | None = ALICE) -> Request:
    return branch_copy(asked, target, via=made_row("via", VIA), recorded=recorded, identity=identity)


def test_only_the_lines_that_must_change_do() -> None:
    asked = request("MESSAGE", BOB, ("Subject", "x\x7f"), ("X-Odd", " spaced  out "))
    before = asked.encode()
    copy = copied(asked)
    changed = {"via", "max-forwards", "p-asserted-identity"}
    kept = [line for line, name in zip(copy.lines, copy.names, strict=True) if name not in changed]
    assert kept == [line for line, name in zip(asked.lines, asked.names, strict=True) if name not in changed]
    assert asked.encode() == before


def test_copy_goes_to_the_contact_under_our_via_with_one_hop_less() -> None:
    copy = copied(request())
    assert (copy.uri, copy.values("via")[0], copy.max_forwards) == ("sip:bob@10.0.0.1", VIA, 69)
    assert len(copy.values("via")) == 2


def test_request_without_max_forwards_gets_70() -> None:
    asked = request()
    asked.remove("max-forwards")
    assert copied(asked).max_forwards == 70


def test_flow_of_another_server_is_named_by_its_token_in_the_route() -> None:
    held = row("sip:bob@10.0.0.1", server=FE2)
    copy = copied(request(), RemoteFlowTarget(held, held.contact))
    assert copy.values("route") == [f"<sip:{held.token}@{FE2};transport=tls;lr>"]
    secure = copied(request(uri="sips:bob@example.test"), RemoteFlowTarget(held, "sips:bob@10.0.0.1"))
    assert secure.values("route") == [f"<sips:{held.token}@{FE2};lr>"]


def test_one_record_route_if_the_listener_is_the_same() -> None:
    assert record_routes(request(), "T", INSIDE, INSIDE) == ("<sip:T@edge1.example.test:5062;transport=tls;lr>",)


def test_two_record_routes_if_the_listener_changes_outgoing_on_top() -> None:
    """RFC 5658: each side finds the entry of its own listener first on its way back."""
    recorded = record_routes(request("INVITE"), "T", INSIDE, OUTSIDE)
    copy = copied(request("INVITE"), HERE, *recorded)
    assert copy.values("record-route") == [
        "<sip:T@sip.example.test:5061;transport=tls;lr>",
        "<sip:T@edge1.example.test:5062;transport=tls;lr>",
    ]


def test_record_route_of_a_sips_request_is_sips() -> None:
    assert record_routes(request(uri="sips:bob@example.test"), "T", INSIDE, INSIDE) == (
        "<sips:T@edge1.example.test:5062;lr>",
    )


@pytest.mark.parametrize(
    ("method", "tag", "creates"),
    [
        ("INVITE", "", True),
        ("SUBSCRIBE", "", True),
        ("REFER", "", True),
        ("INVITE", "t", False),
        ("MESSAGE", "", False),
    ],
)
def test_requests_that_open_dialogs_are_record_routed_and_no_others(method: str, tag: str, creates: bool) -> None:  # noqa: FBT001 - a column
    assert creates_dialog(request(method, to_tag=tag)) is creates


def test_strict_router_gets_the_request_rewritten() -> None:
    routes = ["<sip:strict.partner.test>, <sip:next.partner.test;lr>"]
    asked = request("BYE", "sip:bob@10.0.0.1", to_tag="t", routes=routes)
    copy = copied(asked, ServerTarget((FE2,), LinkKind.SERVER, asked.uri))
    assert copy.uri == "sip:strict.partner.test"
    assert copy.items("route") == ["<sip:next.partner.test;lr>", "<sip:bob@10.0.0.1>"]


@pytest.mark.parametrize("route", ["<sip:strict.partner.test?Subject=x>", f"<sip:{'s' * 8187}@a>"])
def test_invalid_request_uri_in_a_strict_route_is_refused(route: str) -> None:
    asked = request("BYE", "sip:bob@10.0.0.1", to_tag="t", routes=[route])
    with pytest.raises(RemoteError):
        copied(asked, ServerTarget((FE2,), LinkKind.SERVER, asked.uri))


def test_phone_never_gets_strict_routing() -> None:
    asked = request("BYE", "sip:bob@10.0.0.1", to_tag="t", routes=["<sip:strict.test>"])
    copy = copied(asked, FlowTarget(1, b"8 octets", "sip:bob@10.0.0.1"))
    assert (copy.uri, copy.items("route")) == ("sip:bob@10.0.0.1", ["<sip:strict.test>"])


@pytest.mark.parametrize("route", ["<sip:loose.partner.test;lr>", ""])
def test_next_hop_that_routes_loosely_gets_the_route_as_it_is(route: str) -> None:
    copy = copied(request("MESSAGE", routes=[route]), ONWARD)
    assert (copy.uri, copy.values("route")) == (BOB, [route])


def test_identity_is_the_proved_one_and_not_that_of_the_sender() -> None:
    claimed = [("p-asserted-identity", "<sip:boss@example.test>"), ("P-Preferred-Identity", "<sip:boss@example.test>")]
    assert copied(request("MESSAGE", BOB, *claimed)).values("p-asserted-identity") == [f"<{ALICE}>"]
    bare = copied(request("MESSAGE", BOB, *claimed), identity=None)
    assert not bare.count("p-asserted-identity")
    assert not bare.count("p-preferred-identity")


def test_identity_that_a_server_of_ours_has_written_stays_where_it_is() -> None:
    """Anything beside it is written again: another identity, or the same one in another form."""
    ours = ("p-asserted-identity", f"<{ALICE}>")
    asked = request("MESSAGE", BOB, ours, ("subject", "x"))
    assert copied(asked).row(P_ASSERTED_IDENTITY) is asked.row(P_ASSERTED_IDENTITY)
    for more in (("p-asserted-identity", "<tel:+1>"), ("p-preferred-identity", f"<{ALICE}>")):
        other = copied(request("MESSAGE", BOB, ours, more))
        assert other.values("p-asserted-identity") == [f"<{ALICE}>"]
        assert not other.count("p-preferred-identity")
    named = copied(request("MESSAGE", BOB, ("p-asserted-identity", f'"Boss" <{ALICE}>')))
    assert named.values("p-asserted-identity") == [f"<{ALICE}>"]


@pytest.mark.parametrize(
    ("kind", "privacy", "crosses"),
    [
        (LinkKind.SERVER, "", True),
        (LinkKind.SERVER, "id", True),
        (LinkKind.PARTNER, "", False),
        (LinkKind.CLIENT, "", True),
        (LinkKind.CLIENT, "none", True),
        (LinkKind.CLIENT, "id", False),
        (LinkKind.CLIENT, "header; ID ;user", False),
        (LinkKind.CLIENT, "identity", True),
    ],
)
def test_identity_crosses_allowed_borders_only(kind: LinkKind, privacy: str, crosses: bool) -> None:  # noqa: FBT001 - a column
    asked = request("MESSAGE", BOB, *([("privacy", "critical"), ("privacy", privacy)] if privacy else []))
    assert identity_for(ALICE, kind, asked) == (ALICE if crosses else None)


ODD = (
    b"v:SIP/2.0/TLS  192.0.2.1 ;branch=z9hG4bK1",
    b'f :  "Al\xff" <sip:alice@example.test>;tag=1',
    b"t: sip:bob@example.test",
    b"i:call-1",
    b"CSEQ: 1   INVITE",
    b"Subject: one,\r\n two",
    b"x-UNKNOWN:",
    b"max-FORWARDS : 070",
    b"l: 0",
)


def odd(*rows: bytes) -> Request:
    """Read a request with valid rows in unusual spelling."""
    read = parse_head(b"\r\n".join([b"INVITE sip:bob@example.test SIP/2.0", *ODD, *rows]))
    assert isinstance(read, Request)
    return read


def test_rows_in_odd_spelling_stay_byte_for_byte_where_they_decide_no_boundary() -> None:
    """Blanks before a colon, folds and numbers that decide a boundary are written in one way: readers differ over the others."""
    lines = copied(odd(), ONWARD, identity=None).lines
    rewritten = {1: ODD[1].replace(b"f :", b"f:"), 4: b"CSeq: 1 INVITE", 5: b"Subject: one, two"}
    kept = [rewritten.get(at, row) for at, row in enumerate(ODD[:7])]
    assert lines == [f"Via: {VIA}".encode(), *kept, b"Max-Forwards: 69", b"Content-Length: 0"]


@given(st.binary(max_size=30).filter(lambda value: not {10, 13} & set(value)), st.binary(max_size=60))
def test_other_rows_and_the_body_are_unchanged(value: bytes, body: bytes) -> None:
    asked = odd(b"X-Odd:" + value)
    asked.body = body
    copy = copied(asked, identity=None)
    assert (copy.lines[-1], copy.body) == (b"X-Odd:" + value, body)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["id"], True),
        (["header; ID ;critical"], True),
        (["header", "id"], True),
        (["identity"], False),
        (["none"], False),
    ],
)
def test_privacy_id_is_found_in_any_place(values: list[str], *, wanted: bool) -> None:
    assert wants_privacy(request("MESSAGE", BOB, *(("privacy", value) for value in values))) is wanted


def test_token_of_a_sent_request_is_renewed_in_its_response() -> None:
    """RFC 3261 16.7 item 8: only our own Record-Route may change."""
    sent = copied(request(), HERE, "<sip:token-1@fe1.example.test;transport=tls;lr>")
    assert recorded_token(sent) == "token-1"
    response = respond(sent, 200, to_tag="2", headers=[("record-route", "<sip:other.test;lr>")])
    response.append("record-route", "<sip:token-1@fe1.example.test;transport=tls;lr>")
    renew_token(response, "token-1", "token-2")
    routes = response.values("record-route")
    assert "<sip:token-2@fe1.example.test;transport=tls;lr>" in routes
    assert "<sip:other.test;lr>" in routes
    assert not any("token-1" in route for route in routes)


PLACE = "fe1.example.test:5061;transport=tls;lr>"


@pytest.mark.parametrize("token", ["token-7", "token-8"], ids=["parsed", "by-the-last"])
def test_route_of_an_answered_dialog_is_what_it_would_be_if_it_was_parsed(token: str) -> None:
    response = respond(request("INVITE"), 200, to_tag="2", headers=[("record-route", f"<sip:token-6@{PLACE}")])
    renew_token(response, "token-6", token)
    row = rows_of([f"Route: <sip:{token}@{PLACE}"])[0]
    parsed = NameAddr.parse(f"<sip:{token}@{PLACE}")
    assert (row.name, row.bit, row.value, row.flaws, row.checked) == ("route", ROUTE, f"<sip:{token}@{PLACE}", 0, True)
    assert row.addresses == [parsed]
    assert (row.address.sip_uri, row.address.sip_uri.aor) == (parsed.sip_uri, parsed.sip_uri.aor)
    assert (row.address.tag, row.address.is_sip, row.address.has_verstat) == (None, True, False)


@pytest.mark.parametrize(
    ("status", "entry"),
    [
        (180, f"<sip:token-9@{PLACE}"),
        (200, f"<sips:token-9@{PLACE}"),
        (200, f"<sip:x:token-9@{PLACE}"),
        (200, f"<sip:token-9@{PLACE};x=>"),
        (200, f'"<sip:token-9" <sip:token-9@{PLACE}'),
    ],
)
def test_route_of_another_form_is_parsed(status: int, entry: str) -> None:
    response = respond(request("INVITE"), status, to_tag="2", headers=[("record-route", entry)])
    renew_token(response, "token-9", f"token-of-{status}")
    assert not rows_of([f"Route: {response.values('record-route')[0]}"])[0].checked


OURS, UP, DOWN = "<sip:token-1@fe1.example.test;lr>", "<sip:t0@fe0.test;lr>", "<sip:t2@fe2.test;lr>"


@pytest.mark.parametrize(
    ("answered", "wanted"),
    [
        ([OURS, UP], [OURS, UP]),
        ([DOWN, OURS, UP], [DOWN, OURS, UP]),
        ([f"{DOWN}, {OURS}", UP], [DOWN, OURS, UP]),
        ([OURS, DOWN, UP], [OURS, UP]),
        ([DOWN, OURS, DOWN, UP], [DOWN, OURS, UP]),
        ([DOWN, OURS], [DOWN, OURS, UP]),
        ([DOWN, UP], [OURS, UP]),
        ([DOWN, UP, OURS], [DOWN, UP, OURS, UP]),
    ],
)
def test_response_has_the_entries_of_its_request_in_their_order(answered: list[str], wanted: list[str]) -> None:
    """RFC 3261 12.1.1. What a callee writes between ours and those before us would lead the caller into another call."""
    sent = request("INVITE", BOB, ("record-route", OURS), ("record-route", UP))
    response = respond(sent, 200, to_tag="2", headers=[("record-route", entry) for entry in answered])
    response.remove("record-route")
    for entry in answered:
        response.append("record-route", entry)
    assert not repeats_record_routes(response, sent) or answered == wanted
    repeat_record_routes(response, sent)
    assert repeats_record_routes(response, sent) is (wanted == [OURS, UP])
    assert response.items("record-route") == wanted
    assert recorded_behind(response, sent) == wanted[: wanted.index(OURS)]


def test_entries_behind_are_found_if_this_server_is_behind_itself_with_the_same_token() -> None:
    """A user whose link it carries calls the own address: the request comes back from the home pool."""
    first = request("INVITE", BOB, ("record-route", OURS), ("record-route", UP))
    second = request("INVITE", BOB, *(("record-route", entry) for entry in (OURS, DOWN, OURS, UP)))
    response = respond(second, 200, to_tag="2", headers=[("record-route", entry) for entry in (OURS, DOWN, OURS, UP)])
    assert recorded_behind(response, second) == []
    assert recorded_behind(response, first) == [OURS, DOWN]
    for sent in (second, first):
        repeat_record_routes(response, sent)
        assert response.items("record-route") == [OURS, DOWN, OURS, UP]


@pytest.mark.parametrize(("entries", "host"), [([], None), (["<tel:1>"], None), ([DOWN, "<tel:1>"], "fe2.test")])
def test_entry_has_the_uri_that_is_written_in_it(entries: list[str], host: str | None) -> None:
    uri = uri_of_entry(entries, 0)
    assert (uri.host if uri is not None else None) == host


@pytest.mark.parametrize(
    "value",
    [
        "<sips:token-1@fe1.example.test;lr>, <sip:other.test;lr>",
        "<sip:other.test;lr>, <sip:token-1@fe1.example.test;lr>",
        '"a: b" <sip:token-1@fe1.example.test;lr>',
        "sip:token-1@fe1.example.test;lr",
    ],
)
def test_our_token_is_renewed_with_any_spelling_of_its_record_route(value: str) -> None:
    response = respond(request("INVITE"), 200, headers=[("record-route", value)])
    renew_token(response, "token-1", "token-22")
    assert response.values("record-route") == [value.replace("token-1", "token-22")]


def test_another_token_that_begins_like_ours_stays() -> None:
    value = "<sip:token-1.other@fe1.example.test;lr>"
    response = respond(request("INVITE"), 200, headers=[("record-route", value)])
    renew_token(response, "token-1@", "token-2@")
    assert response.values("record-route") == [value]


def test_request_without_a_record_route_has_no_token() -> None:
    with pytest.raises(RemoteError):
        recorded_token(request())


@pytest.mark.parametrize(
    ("privacy", "hidden"),
    [("", False), ("none", False), ("critical", False), ("id", True), ("History", True), ("critical; header", True)],
)
def test_history_is_hidden_if_privacy_asks_for_it(privacy: str, *, hidden: bool) -> None:
    asked = request("INVITE", BOB, *([("Privacy", privacy)] if privacy else []))
    assert hides_history(asked) is hidden


@pytest.mark.parametrize(("contact", "host"), [("<sip:a@192.0.2.7:5061>", "192.0.2.7"), ("<tel:+1>", ""), (None, "")])
def test_contact_has_a_host_if_it_is_a_sip_uri(contact: str | None, host: str) -> None:
    asked = request()
    asked.remove("contact")
    if contact is not None:
        asked.append("contact", contact)
    assert contact_host(asked) == host
