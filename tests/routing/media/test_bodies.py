"""Session descriptions are found wherever a phone may find one, or the body is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import RemoteError
from sipmesh.routing.media.bodies import MAX_BODY, MAX_DEPTH, MAX_PARTS, descriptions_in
from sipmesh.sip.message import Request, build_request
from support.descriptions import CLEAR, SDES, SDP, multipart

MIXED = 'multipart/mixed;boundary="b1"'
ALTERNATIVE = "Multipart / Alternative; boundary=b1"


def carrying(body: bytes, content_type: str | None, *headers: tuple[str, str]) -> Request:
    return build_request("INVITE", "sip:bob@example.test", headers, body, content_type)


@pytest.mark.parametrize(
    ("body", "content_type", "found"),
    [
        (SDES, SDP, [SDES]),
        (SDES, "Application / SDP;charset=utf-8", [SDES]),
        (SDES, None, [SDES]),
        (SDES, "text/plain", [SDES]),
        (b"hello", "text/plain", []),
        *(
            (text, "text/plain", [text])
            for end in "\x1e\x85\u2028"
            for text in [f"v=0{end} m=audio 5 RTP/AVP 0".encode()]
        ),
        ("v=Å m=audio 5 RTP/AVP 0".encode(), "text/plain", []),  # its octet 0x85 ends no line
        (b"hello", None, []),
        (b"", None, []),
        (multipart((SDP, SDES)), MIXED, [SDES]),
        (multipart((SDP, SDES), ("text/plain", b"hi")), ALTERNATIVE, [SDES]),
        (multipart((SDP, SDES), (SDP, CLEAR)), ALTERNATIVE, [SDES, CLEAR]),
        (multipart(("text/plain", SDES)), MIXED, [SDES]),
        (multipart(("multipart/mixed;boundary=b2", multipart((SDP, SDES), boundary="b2"))), MIXED, [SDES]),
        (multipart((SDP, SDES)).replace(b"\r\n", b"\n"), MIXED, [SDES.replace(b"\r\n", b"\n")]),
        (b"--b1\r\n\r\nhello\r\n--b1--", MIXED, []),
    ],
)
def test_each_description_is_found(body: bytes, content_type: str | None, found: list[bytes]) -> None:
    given = [part.removesuffix(b"\r\n").removesuffix(b"\n") for part in descriptions_in(carrying(body, content_type))]
    assert given == [part.removesuffix(b"\r\n").removesuffix(b"\n") for part in found]


GOOD = multipart((SDP, SDES))


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"m=audio 5 RTP/AVP 0\r\n" + GOOD, MIXED, 400),  # preamble
        (GOOD + b"m=audio 5 RTP/AVP 0\r\n", MIXED, 400),  # epilogue
        (GOOD.replace(b"--b1--\r\n", b""), MIXED, 400),
        (GOOD + GOOD, MIXED, 400),
        (GOOD, "multipart/mixed", 400),
        (GOOD, f"multipart/mixed;boundary={71 * 'x'}", 400),
        (GOOD, "multipart/mixed;boundary=b2", 400),
        (GOOD.replace(b"--b1\r\n", b"--b1x\r\n"), MIXED, 400),
        (GOOD.replace(b"Content-Type: app", b"Content-Type: a/b\r\nContent-Type: app"), MIXED, 400),
        (GOOD.replace(b"Content-Type: ", b"m=audio 5 RTP/AVP 0\r\nContent-Type: "), MIXED, 400),
        (GOOD.replace(b"Content-Type: ", b"X: \x0b\r\nContent-Type: "), MIXED, 400),
        (GOOD.replace(b"sdp\r\n\r\n", b"sdp\r\n", 1).replace(SDES, b"x"), MIXED, 400),
        (GOOD.replace(b"Content-Type: ", b"Content-Transfer-Encoding: base64\r\nContent-Type: "), MIXED, 415),
        (GOOD.replace(b"Content-Type: ", b"Content-Encoding: gzip\r\nContent-Type: "), MIXED, 415),
        (b"abc", "application/pkcs7-mime", 415),
        (b"Content-Type: application/sdp\r\n\r\n", 'message/external-body;access-type=URL;URL="http://a.test/"', 415),
        (multipart(("Message/External-Body;access-type=URL", b"Content-Type: application/sdp\r\n\r\n")), MIXED, 415),
        (b"v=0", "message/partial;id=a;number=1;total=2", 415),
        (multipart(("application/pkcs7-mime;smime-type=enveloped-data", b"abc")), MIXED, 415),
    ],
)
def test_body_that_may_be_read_in_two_ways_is_refused(body: bytes, content_type: str, status: int) -> None:
    with pytest.raises(RemoteError) as refused:
        descriptions_in(carrying(body, content_type))
    assert refused.value.status == status


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity, gzip", "x"])
def test_encoded_body_is_refused_and_identity_is_not(encoding: str) -> None:
    with pytest.raises(RemoteError):
        descriptions_in(carrying(SDES, SDP, ("content-encoding", encoding)))
    assert descriptions_in(carrying(SDES, SDP, ("content-encoding", "Identity"))) == [SDES]


def test_two_types_are_refused() -> None:
    with pytest.raises(RemoteError):
        descriptions_in(carrying(SDES, SDP, ("content-type", "text/plain")))


def test_parts_have_limits() -> None:
    descriptions_in(carrying(multipart(*MAX_PARTS * [("text/plain", b"x")]), MIXED))
    with pytest.raises(RemoteError, match="parts"):
        descriptions_in(carrying(multipart(*(MAX_PARTS + 1) * [("text/plain", b"x")]), MIXED))


def test_body_has_a_limit() -> None:
    """Its octets are read several times, by expressions that take up to 200 ns for each."""
    for kind in (SDP, "text/plain", None):
        descriptions_in(carrying(b"x" * MAX_BODY, kind))
        with pytest.raises(RemoteError, match="a body above"):
            descriptions_in(carrying(b"x" * (MAX_BODY + 1), kind))


def nested(depth: int) -> bytes:
    body = SDES
    kind = SDP
    for at in range(depth):
        body, kind = multipart((kind, body), boundary=f"b{at}"), f"multipart/mixed;boundary=b{at}"
    return multipart((kind, body), boundary="b1x")


def test_depth_has_a_limit() -> None:
    outer = "multipart/mixed;boundary=b1x"
    assert len(descriptions_in(carrying(nested(MAX_DEPTH - 1), outer))) == 1
    with pytest.raises(RemoteError, match="deeper"):
        descriptions_in(carrying(nested(MAX_DEPTH), outer))


@given(st.binary(max_size=100), st.sampled_from([SDP, MIXED, "text/plain", None]))
def test_any_octets_are_read_or_refused(octets: bytes, content_type: str | None) -> None:
    with contextlib.suppress(RemoteError):
        descriptions_in(carrying(octets, content_type))
