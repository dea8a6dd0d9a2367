"""A request without an answer is awaited as long as its transaction lasts, and no longer."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.flow import MOST_RESPONSES
from sipmesh.server.proxy.siblings.awaited_requests import AwaitedRequests
from sipmesh.sip.message import Request, build_request
from sipmesh.sip.transaction.timers import Timer

LINK, OTHER = 7, 8
ENDS = {"INVITE": Timer.C.seconds, "MESSAGE": Timer.F.seconds}


def request(method: str, branch: str) -> bytes:
    """A request as another process writes it; a Route before the Via has a parameter of the same name."""
    head = f"{method} sip:bob@host;branch=no SIP/2.0\r\nRoute: <sip:a;branch=no>\r\n"
    return f"{head}Via: SIP/2.0/TLS host:5061;rport;branch={branch}\r\nVia: SIP/2.0/TLS x;branch=y\r\n\r\n".encode()


def invite(call_id: str) -> Request:
    """An INVITE of a new call."""
    return build_request("INVITE", "sip:bob@host", [("call-id", call_id)])


def awaiting(method: str = "MESSAGE") -> AwaitedRequests:
    """One request on one link, of the process whose branches begin with ``z9hG4bK1x``."""
    awaited = AwaitedRequests()
    awaited.sent(LINK, request(method, "z9hG4bK1xa"), 0.0)
    assert awaited.is_awaited(LINK, 0.0)
    assert not awaited.is_awaited(OTHER, 0.0)
    return awaited


@pytest.mark.parametrize("method", ENDS)
def test_request_without_an_answer_ends_with_its_transaction(method: str) -> None:
    awaited, end = awaiting(method), ENDS[method]
    assert awaited.is_awaited(LINK, end - 0.1)
    assert not awaited.is_awaited(LINK, end)
    assert not len(awaited)


def test_ringing_phone_is_awaited_from_its_last_response_on() -> None:
    awaited = awaiting("INVITE")
    awaited.responded(LINK, "z9hG4bK1xa", 180, 100.0)
    assert awaited.is_awaited(LINK, Timer.C.seconds + 99.0)
    assert not awaited.is_awaited(LINK, Timer.C.seconds + 100.0)


@pytest.mark.parametrize(("number", "branch", "status"), [(OTHER, "z9hG4bK1xa", 200), (LINK, "z9hG4bK1xb", 200)])
def test_final_response_ends_its_own_request_and_no_other(number: int, branch: str, status: int) -> None:
    awaited = awaiting()
    awaited.responded(number, branch, status, 1.0)
    assert awaited.is_awaited(LINK, 1.0)
    awaited.responded(LINK, "z9hG4bK1xa", status, 1.0)
    assert not awaited.is_awaited(LINK, 1.0)


def test_requests_end_with_their_link_and_with_the_process_that_has_sent_them() -> None:
    awaited = awaiting()
    awaited.sent(OTHER, request("MESSAGE", "z9hG4bK1xc"), 0.0)
    awaited.sent(OTHER, request("MESSAGE", "z9hG4bK2xd"), 0.0)
    awaited.link_closed(LINK)
    assert not awaited.is_awaited(LINK, 0.0)
    awaited.process_ended("z9hG4bK1x")
    assert awaited.is_awaited(OTHER, 0.0)
    awaited.process_ended("z9hG4bK2x")
    assert not len(awaited)


def test_request_that_is_sent_again_is_awaited_once() -> None:
    awaited = awaiting()
    awaited.sent(LINK, request("MESSAGE", "z9hG4bK1xa"), 1.0)
    awaited.responded(LINK, "z9hG4bK1xa", 404, 2.0)
    assert not awaited.is_awaited(LINK, 2.0)


def test_octets_without_a_branch_are_not_awaited() -> None:
    awaited = AwaitedRequests()
    awaited.sent(LINK, b"MESSAGE sip:bob@host SIP/2.0\r\n\r\n", 0.0)
    assert not awaited.is_awaited(LINK, 0.0)


def test_call_rings_on_its_link_until_its_final_response() -> None:
    awaited = AwaitedRequests()
    for branch in ("z9hG4bK1xa", "z9hG4bK1xb"):
        awaited.sent(LINK, request("INVITE", branch), 0.0, invite("call"))
    awaited.responded(LINK, "z9hG4bK1xa", 180, 1.0)
    awaited.responded(LINK, "z9hG4bK1xb", 486, 1.0)
    assert (awaited.rings(LINK, "call", 1.0), awaited.rings(OTHER, "call", 1.0), awaited.rings(LINK, "b", 1.0)) == (
        True,
        False,
        False,
    )
    awaited.responded(LINK, "z9hG4bK1xa", 200, 2.0)
    assert not awaited.rings(LINK, "call", 2.0)


def test_call_without_an_answer_rings_as_long_as_its_transaction() -> None:
    awaited = AwaitedRequests()
    awaited.sent(LINK, request("INVITE", "z9hG4bK1xa"), 0.0, invite("call"))
    assert awaited.rings(LINK, "call", Timer.C.seconds - 0.1)
    assert not awaited.rings(LINK, "call", Timer.C.seconds)


def test_more_responses_than_phones_send_are_found_for_each_branch() -> None:
    awaited = awaiting("INVITE")
    for _ in range(MOST_RESPONSES):
        assert not awaited.is_answered_without_end(LINK, "z9hG4bK1xa")
        awaited.responded(LINK, "z9hG4bK1xa", 180, 1.0)
    assert awaited.is_answered_without_end(LINK, "z9hG4bK1xa")
    awaited.sent(LINK, request("INVITE", "z9hG4bK1xb"), 0.0)
    assert not awaited.is_answered_without_end(LINK, "z9hG4bK1xb")
    assert awaited.is_answered_without_end(OTHER, "z9hG4bK1xb")
    awaited.responded(LINK, "z9hG4bK1xb", 200, 1.0)
    assert awaited.is_answered_without_end(LINK, "z9hG4bK1xb")
