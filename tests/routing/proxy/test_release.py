"""The requests that end a call with one side, in place of the other side."""

from __future__ import annotations

import pytest

from routing.messages import ALICE, BOB, request
from sipmesh.routing.proxy.release import (
    LAST_CSEQ,
    MALFORMED,
    REASON,
    ack_in_place_of_caller,
    bye_after_ack,
    bye_in_place_of_callee,
    bye_in_place_of_caller,
    readable_part,
    without_body,
)
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.rows import TOO_MANY
from support.descriptions import SDES, with_body

OURS, BELOW, LOWEST = "<sip:token@fe1.test;lr>", "<sip:t2@fe2.test;lr>", "<sip:t3@fe3.test;lr>"


def accepted(sent: Request, *headers: tuple[str, str]) -> Response:
    return respond(sent, 200, headers=headers, to_tag="2")


def test_ack_and_bye_take_the_route_below_ours() -> None:
    """RFC 3261 12.1.2: the Record-Route in reverse order; entries above ours lead back to the caller."""
    sent = request("INVITE")
    answer = accepted(
        sent,
        ("record-route", f"{LOWEST}, {BELOW}"),
        ("record-route", OURS),
        ("record-route", "<sip:up@fe0.test;lr>"),
        ("contact", "<sip:bob@192.0.2.9>"),
    )
    for made, number in (
        (ack_in_place_of_caller(sent, answer, {"token"}), 1),
        (bye_in_place_of_caller(sent, answer, {"token"}), 2),
    ):
        assert made.uri == "sip:bob@192.0.2.9"
        assert made.items("route") == [BELOW, LOWEST]
        assert (made.from_, made.to, made.call_id) == (sent.from_, answer.to, sent.call_id)
        assert (made.cseq.number, made.cseq.method) == (number, made.method)
        assert made.values("reason") == ([REASON] if made.method == "BYE" else [])


def test_record_route_that_is_no_sip_uri_ends_no_search_for_ours() -> None:
    sent = request("INVITE")
    answer = accepted(sent, ("record-route", "<tel:1>"), ("record-route", OURS), ("record-route", "<mailto:a@b.test>"))
    assert ack_in_place_of_caller(sent, answer, {"token"}).items("route") == ["<tel:1>"]
    assert len(ack_in_place_of_caller(sent, answer, {"another"}).items("route")) == 3


def test_largest_cseq_has_none_after_it() -> None:
    for last, after in ((LAST_CSEQ - 1, LAST_CSEQ), (LAST_CSEQ, LAST_CSEQ)):
        invite, ack = request("INVITE"), request("ACK", to_tag="2")
        for made in (invite, ack):
            made.replace("cseq", f"{last} {made.method}")
        assert bye_in_place_of_caller(invite, accepted(invite), ()).cseq.number == after
        assert bye_after_ack(ack).cseq.number == after


def test_inside_a_dialog_they_take_the_route_of_the_request() -> None:
    sent = request("UPDATE", "sip:bob@192.0.2.9", to_tag="2", routes=[BELOW, LOWEST])
    bye = bye_in_place_of_caller(sent, accepted(sent), ())
    assert (bye.uri, bye.items("route")) == ("sip:bob@192.0.2.9", [BELOW, LOWEST])


def test_bye_of_the_callee_is_the_last_request_of_its_dialog() -> None:
    invite = request("INVITE", BOB, ("record-route", f"{BELOW}, {LOWEST}"), ("contact", "<sip:alice@192.0.2.1>"))
    ack = request("ACK", to_tag="2")
    bye = bye_in_place_of_callee(invite, ack)
    assert bye is not None
    assert (bye.uri, bye.items("route")) == ("sip:alice@192.0.2.1", [BELOW, LOWEST])
    assert (bye.from_.aor, bye.from_.tag, bye.to.aor, bye.to.tag) == (BOB, "2", ALICE, "1")
    assert bye.cseq.number == LAST_CSEQ


@pytest.mark.parametrize("contact", [(), ("contact", "<tel:+4930123456>")])
def test_caller_without_a_sip_contact_gets_no_bye(contact: tuple[str, str] | tuple[()]) -> None:
    invite = request("INVITE", BOB, *([contact] if contact else []))
    assert bye_in_place_of_callee(invite, request("ACK", to_tag="2")) is None


def test_bye_after_an_ack_goes_the_same_way_without_a_body() -> None:
    ack = with_body(request("ACK", "sip:bob@192.0.2.9", to_tag="2", routes=[BELOW]), SDES)
    bye = bye_after_ack(ack)
    assert (bye.uri, bye.items("route"), bye.cseq.number, bye.method) == (ack.uri, [BELOW], 2, "BYE")
    for made in (bye, without_body(ack)):
        assert (made.body, made.first("content-length"), made.has("content-type")) == (b"", "0", False)
    assert ack.body == SDES


def test_readable_part_has_what_can_be_read() -> None:
    sent = request("INVITE")
    answer = accepted(
        sent, ("record-route", BELOW), ("record-route", "<sip:"), ("contact", "<sip:bob@"), ("x", "1"), ("cseq", "x")
    )
    part = readable_part(answer, sent)
    assert (part.items("record-route"), part.items("contact"), part.has("x")) == ([BELOW], [], False)
    assert (part.to.tag, part.cseq) == ("2", sent.cseq)
    bye = bye_in_place_of_caller(sent, part, (), MALFORMED)
    assert (bye.uri, bye.items("route"), bye.values("reason")) == (sent.uri, [BELOW], [MALFORMED])


@pytest.mark.parametrize("to", ["<sip:", '<sip:bob@example.test>;tag="a b"', "<sip:bob@example.test>"])
def test_readable_part_has_no_tag_that_cannot_be_read(to: str) -> None:
    sent, answer = request("INVITE"), accepted(request("INVITE"))
    answer.replace("to", to)
    assert readable_part(answer, sent).first("to") == sent.first("to")


def test_readable_part_has_no_flaws_and_nothing_of_a_header_that_is_too_long() -> None:
    sent = request("INVITE")
    answer = accepted(sent, ("record-route", f"{BELOW}, <sip:a\x01@b.test>"))
    assert readable_part(answer, sent).items("record-route") == [BELOW]
    answer.flaws |= TOO_MANY
    part = readable_part(answer, sent)
    assert (part.items("record-route"), part.to.tag) == ([], "2")
