"""What each policy allows, and what the refused sender learns."""

from __future__ import annotations

import pytest

from routing.messages import request, response
from sipmesh.routing.media.judgement import NEGOTIATES, MediaFault, Offer, fault_in
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.trust.code import Code
from support.descriptions import CLEAR, DTLS, KEY, OPPORTUNISTIC, SDES, SDP, SESSION, multipart, put_body, with_body

ANY, ENCRYPTED, REQUIRED = MediaPolicy
BROKEN = SESSION + b"m=audio 5004 RTP/SAVP 0\r\n"
VIDEO = b"m=video 5006 RTP/AVP 96\r\n"


def fault(body: bytes, policy: MediaPolicy, content_type: str = "application/sdp") -> MediaFault | None:
    return fault_in(with_body(request(), body, content_type), policy)


@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        (CLEAR, {ANY, ENCRYPTED}),
        (OPPORTUNISTIC, {ANY, ENCRYPTED}),
        (SDES, {ANY, ENCRYPTED, REQUIRED}),
        (DTLS, {ANY, ENCRYPTED, REQUIRED}),
        (BROKEN, {ANY}),
        (b"no description", {ANY}),
        (SESSION, {ANY, ENCRYPTED, REQUIRED}),
        (SDES + b"m=video 5006 RTP/AVP 96\r\n", {ANY, ENCRYPTED}),
        (SDES + b"m=video 0 RTP/AVP 96\r\n", {ANY, ENCRYPTED, REQUIRED}),
    ],
)
def test_each_policy_allows(body: bytes, allowed: set[MediaPolicy]) -> None:
    assert {policy for policy in MediaPolicy if fault(body, policy) is None} == allowed


def test_refusal_names_the_media_line_and_no_key() -> None:
    found = fault(SDES + b"m=video 5006 RTP/AVP 96\r\na=crypto:1 X inline:" + KEY.encode(), REQUIRED)
    assert found is not None
    assert (found.code, found.status) == (Code.MEDIA_NOT_ENCRYPTED, 488)
    ((name, warning),) = found.headers("fe1.example.test")
    assert name == "Warning"
    assert warning.startswith('306 fe1.example.test "media line 2, m=video 5006 RTP/AVP, has an a=crypto')
    assert KEY not in warning
    plain = fault(CLEAR, REQUIRED)
    assert plain is not None
    assert plain.headers("h")[0][1].startswith('302 h "media line 1, m=audio 5004 RTP/AVP, is not encrypted')


def test_encoded_body_gets_415_with_what_is_accepted() -> None:
    message = with_body(request(), SDES)
    message.append("content-encoding", "gzip")
    found = fault_in(message, REQUIRED)
    assert found is not None
    assert (found.code, found.status) == (Code.MEDIA_UNREADABLE, 415)
    assert {name for name, _ in found.headers("h")} == {"Warning", "Accept", "Accept-Encoding"}


def test_answer_in_the_clear_to_an_encrypted_offer_is_refused_where_encryption_is_only_wished() -> None:
    """RFC 3264 6.1: the profile of the answer is that of the offer. A proxy on the way may have changed it."""
    answer = response(200)
    for body, offered, refused in [
        (CLEAR, SDES, True),
        (OPPORTUNISTIC, SDES, True),
        (SDES, SDES, False),
        (CLEAR, CLEAR, False),
        (CLEAR, OPPORTUNISTIC, False),
        (SESSION, SDES, False),
        (CLEAR, b"", False),
        (CLEAR, b"v=1", False),
        (CLEAR + VIDEO, SDES, True),
        (SDES + VIDEO, SDES, True),
        (SDES + VIDEO, SDES + VIDEO, False),
        (CLEAR, SDES + VIDEO, True),
        (SDES + VIDEO, SDES + b"m=video 0 RTP/AVP 96\r\n", True),
    ]:
        put_body(answer, body)
        offer = with_body(request(), offered)
        assert (fault_in(answer, ENCRYPTED, Offer(offer)) is not None) is refused, (body, offered)


def test_answer_in_the_clear_needs_one_description_of_several_that_offers_it() -> None:
    answer = response(200)
    put_body(answer, CLEAR)
    for other, refused in ((DTLS, True), (CLEAR, False)):
        offer = with_body(request(), multipart((SDP, SDES), (SDP, other)), "multipart/alternative;boundary=b1")
        assert (fault_in(answer, ENCRYPTED, Offer(offer)) is not None) is refused


def test_offer_is_read_once_for_all_answers() -> None:
    """A callee may answer many times, with many descriptions each: the offer of the caller is read once, also without a body."""
    asked = with_body(request(), OPPORTUNISTIC)
    offer = Offer(asked)
    answer = response(200)
    put_body(answer, CLEAR)
    assert fault_in(answer, ENCRYPTED, offer) is None
    asked.body = b""
    assert fault_in(answer, ENCRYPTED, offer) is None
    put_body(answer, CLEAR + VIDEO)
    assert fault_in(answer, ENCRYPTED, offer) is not None


def test_methods_that_agree_on_media() -> None:
    assert {"INVITE", "ACK", "PRACK", "UPDATE"} == NEGOTIATES
