"""Which messages a trace takes: by user, domain, link and Call-ID, and nothing of the control plane."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sipmesh.server.tracing.trace_filter import MOST_CALLS, TraceFilter
from sipmesh.sip.framing import parse_message
from sipmesh.sip.message import Request, Response

INVITE = (
    "INVITE sip:Bob@example.test SIP/2.0\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    "From: <sip:alice@example.test>;tag=1\r\nTo: <sip:bob@example.test>\r\nCall-ID: c1@a\r\nCSeq: 1 INVITE\r\n"
    "P-Asserted-Identity: <sips:Ada@Other.test;user=phone>\r\n{more}\r\n"
)


@dataclass
class AnyLink:
    """What a filter looks at of a link."""

    id: str = "c7"
    peer_name: str = ""
    is_control: bool = False
    flow: object = None


def read(text: str) -> Request | Response:
    return parse_message(text.encode())


def takes(what: str, message: Request | Response, link: AnyLink | None = None) -> bool:
    return TraceFilter(what).takes(link or AnyLink(), message)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "what",
    [
        "alice",
        "ALICE",
        "sip:alice@example.test",
        "bob@example.test",
        "ada",
        "ada@other.test",
        "other.test",
        "c7",
        "c1@a",
    ],
)
def test_message_is_taken_for_each_name_in_it(what: str) -> None:
    assert takes(what, read(INVITE.format(more="")))


@pytest.mark.parametrize("what", ["carol", "alic", "example", "c1", "c8", "alice@other.test"])
def test_part_of_a_name_takes_nothing(what: str) -> None:
    assert not takes(what, read(INVITE.format(more="")))


def test_link_to_a_server_or_partner_is_found_by_its_name() -> None:
    assert takes("sip.other.test", read(INVITE.format(more="")), AnyLink(peer_name="sip.other.test"))


def test_call_is_taken_whole_once_one_message_of_it_was() -> None:
    trace = TraceFilter("alice")
    link = AnyLink()
    bye = read(
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK2\r\nFrom: <sip:x@x>;tag=1\r\nTo: <sip:y@y>;tag=2\r\n"
        "Call-ID: c1@a\r\nCSeq: 2 BYE\r\n\r\n"
    )
    assert not trace.takes(link, bye)  # type: ignore[arg-type]
    assert trace.takes(link, read(INVITE.format(more="")))  # type: ignore[arg-type]
    assert trace.takes(link, bye)  # type: ignore[arg-type]


def test_calls_that_are_remembered_are_bounded() -> None:
    trace = TraceFilter("alice")
    for number in range(MOST_CALLS + 1):
        assert trace.takes(AnyLink(), read(INVITE.format(more="").replace("c1@a", f"n{number}")))  # type: ignore[arg-type]
    other = INVITE.format(more="").replace("alice", "carol")
    assert not trace.takes(AnyLink(), read(other.replace("c1@a", "n0")))  # type: ignore[arg-type]
    assert trace.takes(AnyLink(), read(other.replace("c1@a", f"n{MOST_CALLS}")))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        INVITE.format(more=""),
        INVITE.format(more="").replace("alice", "ALICE"),
        INVITE.format(more="").replace("alice", "carol"),
        INVITE.format(more="").replace("alice", "carol").replace("Call-ID: ", "i:"),
        INVITE.format(more="").replace("alice", "carol").replace("Call-ID: ", "CALL-ID :\r\n "),
        INVITE.format(more="").replace("alice", "carol").replace("c1@a", "c2@a") + INVITE.format(more=""),
    ],
)
def test_octets_of_each_message_that_is_taken_are_not_passed_over(text: str) -> None:
    """All name alice, or have the Call-ID of a call of alice. The other messages need no parsing."""
    trace = TraceFilter("alice")
    assert trace.takes(AnyLink(), read(INVITE.format(more="")))  # type: ignore[arg-type]
    assert trace.may_take(AnyLink(), text.encode())  # type: ignore[arg-type]


def test_octets_that_name_another_user_in_another_call_are_passed_over_unless_the_link_is_meant() -> None:
    other = INVITE.format(more="").replace("alice", "carol").replace("c1@a", "c2@a").encode()
    trace = TraceFilter("alice")
    assert not trace.may_take(AnyLink(), other)  # type: ignore[arg-type]
    assert trace.takes(AnyLink(), read(INVITE.format(more="")))  # type: ignore[arg-type]
    assert not trace.may_take(AnyLink(), other)  # type: ignore[arg-type]
    assert TraceFilter("c7").may_take(AnyLink(), other)  # type: ignore[arg-type]
    assert TraceFilter("c2@a").may_take(AnyLink(), other)  # type: ignore[arg-type]


@pytest.mark.parametrize("event", ["sipmesh", "sipmesh-status", "sipmesh-trace", "SIPMESH.winfo"])
def test_control_plane_is_never_taken(event: str) -> None:
    """Its documents have what users log in with. An event package of phones is taken."""
    notify = INVITE.replace("INVITE", "NOTIFY")
    assert not takes("alice", read(notify.format(more=f"Event: {event}\r\n")))
    assert not takes("alice", read(notify.format(more="Event: presence\r\n")), AnyLink(is_control=True))
    assert takes("alice", read(notify.format(more="Event: presence\r\n")))


def test_responses_of_the_control_plane_are_not_taken() -> None:
    """They name servers without a user, also where the trace is about the link."""
    answer = (
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK2\r\nFrom: <sip:{who}>;tag=1\r\nTo: <sip:y>;tag=2\r\n"
        "Call-ID: s1\r\nCSeq: 2 NOTIFY\r\n\r\n"
    )
    assert not takes("c7", read(answer.format(who="mgmt.example.test")))
    assert takes("c7", read(answer.format(who="alice@example.test")))
