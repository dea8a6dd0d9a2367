"""Each request that another process serves is answered once: by that process, or in its place when it ends."""

from __future__ import annotations

from sipmesh.server.proxy.siblings.handed_requests import HandedRequests, refused, shortened
from sipmesh.sip.framing import parse_message
from sipmesh.sip.message import Request, Response, build_request, respond

LINK, OTHER = 7, 8
ONE, TWO = 1, 2


def subscribe(branch: str) -> Request:
    headers = [
        ("via", f"SIP/2.0/TLS host:5061;branch=z9hG4bK{branch}"),
        ("from", "<sip:a@a.test>;tag=1"),
        ("to", "<sip:b@a.test>"),
        ("call-id", branch),
        ("cseq", "1 SUBSCRIBE"),
    ]
    return build_request("SUBSCRIBE", "sip:b@a.test", headers)


def owed(handed: HandedRequests, process: int) -> list[tuple[int, int, str]]:
    answers = [(number, parse_message(data)) for number, data in handed.process_ended(process)]
    return [(number, answer.status, answer.call_id) for number, answer in answers if isinstance(answer, Response)]


def test_process_that_ends_owes_what_it_has_not_answered() -> None:
    handed = HandedRequests()
    for process, number, name in ((ONE, LINK, "a"), (ONE, LINK, "b"), (ONE, OTHER, "c"), (TWO, LINK, "d")):
        handed.handed(process, number, subscribe(name))
    handed.answered(LINK, respond(subscribe("a"), 200))
    assert owed(handed, ONE) == [(LINK, 503, "b"), (OTHER, 503, "c")]
    assert owed(handed, ONE) == []
    assert owed(handed, TWO) == [(LINK, 503, "d")]


def test_request_waits_until_its_final_response_or_the_end_of_its_link() -> None:
    handed = HandedRequests()
    for name in ("a", "b"):
        handed.handed(ONE, LINK, subscribe(name))
    handed.answered(LINK, respond(subscribe("a"), 100))
    handed.answered(OTHER, respond(subscribe("a"), 200))
    assert handed.has(LINK)
    for name in ("a", "b"):
        handed.answered(LINK, respond(subscribe(name), 200))
    assert not handed.has(LINK)
    handed.handed(ONE, LINK, subscribe("c"))
    handed.link_closed(LINK)
    assert owed(handed, ONE) == []


def test_answer_in_place_of_another_belongs_to_the_same_transaction() -> None:
    given = respond(subscribe("a"), 200, headers=[("contact", "<sip:b@host>")], to_tag="t", body=b"much")
    short = shortened(given)
    assert (short.status, short.body, short.first("contact"), short.to.tag) == (503, b"", None, "t")
    assert (short.top_via.branch, short.call_id, str(short.cseq)) == (
        given.top_via.branch,
        given.call_id,
        str(given.cseq),
    )
    assert refused(subscribe("a")).first("retry-after") == "5"
