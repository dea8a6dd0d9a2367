"""Names and personal lines of a hidden caller in its session descriptions."""

from __future__ import annotations

import pytest

from routing.messages import BOB, request
from sipmesh.routing.media.origin import AnonymousBody
from sipmesh.sip.message import Request
from support.descriptions import CRYPTO, SDES, SDP, multipart, with_body

NAMED = SDES.replace(b"o=- ", b"o=alice ")
TEXT = b"o=alice 1 1 IN IP4 192.0.2.7"


def offer(body: bytes, content_type: str = SDP) -> Request:
    return with_body(request("INVITE", BOB), body, content_type)


def test_user_name_of_the_origin_line_is_replaced() -> None:
    """The rest of the description is unchanged, and Content-Length fits."""
    asked = offer(NAMED)
    AnonymousBody(asked).put_into(asked)
    assert asked.body == SDES
    assert asked.first("content-length") == str(len(SDES))
    assert CRYPTO in asked.body


@pytest.mark.parametrize("origin", [b"o= alice ", b"o=alice  ", b"o=alice of sales "])
def test_user_name_with_blanks_is_replaced(origin: bytes) -> None:
    asked = offer(SDES.replace(b"o=- ", origin))
    AnonymousBody(asked).put_into(asked)
    assert asked.body == SDES


def test_lines_that_name_a_person_are_hidden() -> None:
    """The session name becomes "-", as RFC 8866 section 5.3 wants it where there is none; the others may be left out."""
    personal = b"s=Alice calls\r\ni=of sales\r\nu=https://alice.test/\r\ne=alice@alice.test\r\np=+1 555 0100\r\n"
    named = SDES.replace(b"s=-\r\n", personal).replace(CRYPTO, CRYPTO + b"i=microphone of alice\r\n")
    asked = offer(named)
    AnonymousBody(asked).put_into(asked)
    assert asked.body == SDES
    assert asked.first("content-length") == str(len(SDES))


def test_signed_body_that_is_only_named_in_a_parameter_protects_nothing() -> None:
    asked = offer(NAMED, f"{SDP};x=multipart/signed")
    AnonymousBody(asked).put_into(asked)
    assert asked.body == SDES


def test_description_in_a_part_is_changed_and_other_parts_are_not() -> None:
    parts = ((SDP, NAMED), ("text/plain", TEXT))
    asked = offer(multipart(*parts), 'multipart/mixed; boundary="b1"')
    AnonymousBody(asked).put_into(asked)
    assert asked.body == multipart((SDP, SDES), ("text/plain", TEXT))
    assert asked.first("content-length") == str(len(asked.body))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (SDES, SDP),
        (b"", ""),
        (TEXT, "text/plain"),
        (multipart((SDP, NAMED)), 'multipart/signed; boundary="b1"; protocol="application/pkcs7-signature"'),
        (multipart((SDP, NAMED)), "multipart/mixed"),
    ],
    ids=["no name", "no body", "text", "signed", "no boundary"],
)
def test_other_bodies_stay_as_they_are(body: bytes, content_type: str) -> None:
    asked = offer(body, content_type)
    AnonymousBody(asked).put_into(asked)
    assert asked.body == body


def test_body_is_written_once_for_all_copies_of_a_request() -> None:
    """A request may be forked to ten phones: each has the same octets, and they were made once."""
    asked = offer(NAMED)
    body, copies = AnonymousBody(asked), [asked.copy() for _ in range(10)]
    for copy in copies:
        body.put_into(copy)
    assert {id(copy.body) for copy in copies} == {id(copies[0].body)}
    assert (copies[0].body, asked.body) == (SDES, NAMED)


def test_copy_whose_body_was_dropped_gets_none() -> None:
    asked = offer(NAMED)
    copy = asked.copy()
    copy.body = b""
    AnonymousBody(asked).put_into(copy)
    assert copy.body == b""
