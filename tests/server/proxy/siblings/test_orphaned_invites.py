"""A phone that rings for a process that has ended is stopped, for any answer (RFC 3261 9.1, 13.2.2.4, 17.1.1.3)."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.siblings.orphaned_invites import OrphanedInvites
from sipmesh.sip.message import Request, Response, build_request, respond
from sipmesh.sip.transaction.timers import Timer

LINK, OTHER = 7, 8
TOKEN, BELOW = "token", "edge"


def invite(branch: str = "a") -> Request:
    headers = [
        ("via", f"SIP/2.0/TLS host:5061;branch=z9hG4bK{branch}"),
        ("record-route", f"<sip:{TOKEN}@host;lr>"),
        ("from", "<sip:a@a.test>;tag=1"),
        ("to", "<sip:b@a.test>"),
        ("call-id", "c"),
        ("cseq", "5 INVITE"),
    ]
    return build_request("INVITE", "sip:b@phone", headers)


def answer(status: int, request: Request | None = None) -> Response:
    routes = [("record-route", f"<sip:{BELOW}@edge;lr>"), ("record-route", f"<sip:{TOKEN}@host;lr>")]
    return respond(request or invite(), status, headers=[*routes, ("contact", "<sip:b@there>")], to_tag="t")


def orphans(*, rings: bool) -> tuple[OrphanedInvites, list[str]]:
    orphaned = OrphanedInvites()
    return orphaned, methods(orphaned.add(LINK, invite(), 0.0, rings=rings))


def methods(requests: list[Request] | None) -> list[str]:
    return [request.method for request in requests or ()]


def test_phone_that_rings_is_cancelled_once() -> None:
    orphaned, sent = orphans(rings=True)
    assert sent == ["CANCEL"]
    assert orphaned.responded(LINK, answer(180)) == []


def test_phone_that_has_said_nothing_is_cancelled_with_its_first_response() -> None:
    orphaned, sent = orphans(rings=False)
    assert sent == []
    [cancel] = orphaned.responded(LINK, answer(100)) or []
    assert (cancel.method, cancel.top_via.branch, cancel.cseq.number) == ("CANCEL", "z9hG4bKa", 5)
    assert "cause=480" in (cancel.first("reason") or "")
    assert orphaned.responded(LINK, answer(200, cancel)) == []


def test_final_refusal_is_acknowledged_in_its_transaction() -> None:
    orphaned, _ = orphans(rings=True)
    [ack] = orphaned.responded(LINK, answer(487)) or []
    assert (ack.method, ack.top_via.branch, ack.to.tag) == ("ACK", "z9hG4bKa", "t")
    assert (len(orphaned), orphaned.responded(LINK, answer(487))) == (0, None)


def test_call_that_is_accepted_is_acknowledged_and_ended() -> None:
    """By the way below us, in transactions of their own."""
    orphaned, _ = orphans(rings=True)
    ack, bye = orphaned.responded(LINK, answer(200)) or []
    assert [(one.method, one.uri, one.to.tag, one.cseq.number) for one in (ack, bye)] == [
        ("ACK", "sip:b@there", "t", 5),
        ("BYE", "sip:b@there", "t", 6),
    ]
    assert [list(one.items("route")) for one in (ack, bye)] == [[f"<sip:{BELOW}@edge;lr>"]] * 2
    assert len({one.top_via.branch for one in (invite(), ack, bye)}) == 3


@pytest.mark.parametrize(("number", "branch"), [(OTHER, "a"), (LINK, "b")])
def test_responses_of_others_are_none_of_its_business(number: int, branch: str) -> None:
    orphaned, _ = orphans(rings=True)
    assert orphaned.responded(number, answer(200, invite(branch))) is None


def test_invite_is_forgotten_with_its_link_and_after_timer_c() -> None:
    orphaned, _ = orphans(rings=True)
    orphaned.add(OTHER, invite("b"), Timer.C.seconds - 1, rings=True)
    assert len(orphaned) == 2
    orphaned.add(OTHER, invite("c"), Timer.C.seconds, rings=True)
    orphaned.link_closed(OTHER)
    assert len(orphaned) == 0
