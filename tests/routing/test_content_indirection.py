"""Which bodies are elsewhere. From whom they are refused, the tests of the roles show."""

from __future__ import annotations

import pytest

from routing.messages import BOB, request
from sipmesh.routing.content_indirection import EXTERNAL, PLAIN, is_elsewhere, refused_indirection
from support.descriptions import with_body

URL = 'message/external-body; access-type="URL"; URL="http://a.test/"'
PART = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\n{}\r\n\r\nContent-Type: image/png\r\n\r\n\r\n--b--\r\n"


def status(kind: str, body: bytes, method: str = "MESSAGE") -> int:
    """The status of the refusal, 0 for none."""
    refused = refused_indirection(with_body(request(method, BOB), body, kind))
    return 0 if refused is None else refused.status


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "INFO", "NOTIFY"])
def test_body_that_is_elsewhere_is_refused_in_each_method(method: str) -> None:
    assert status(URL, b"Content-Type: image/png\r\n\r\n", method) == 415


@pytest.mark.parametrize("kind", [EXTERNAL, "Message/External-Body", "message / external-body;x=1", f"{EXTERNAL} (x)"])
def test_type_is_known_in_any_spelling(kind: str) -> None:
    assert status(kind, b"Content-Type: image/png\r\n\r\n") == 415


@pytest.mark.parametrize("kind", ["multipart/mixed; boundary=b", "MULTIPART/related;boundary=b", "message/cpim"])
@pytest.mark.parametrize(
    "row",
    [
        f"Content-Type: {URL}",
        "content-type:MESSAGE/external-body",
        "Content-Type:\r\n message/external-body",
        "CONTENT-TYPE\t: message / External-Body",
    ],
)
def test_part_that_is_elsewhere_is_found(kind: str, row: str) -> None:
    assert status(kind, PART.format(row).encode()) == 415


@pytest.mark.parametrize(
    "kind", [*sorted(PLAIN), "application/sdp; x=1", "multipart/mixed; boundary=b", "message/cpim", ""]
)
def test_other_bodies_pass(kind: str) -> None:
    assert status(kind, PART.format("Content-Type: text/html").encode()) == 0
    assert status(kind, b"the type message/external-body is refused") == 0
    assert status(kind, b"") == 0


def test_text_that_quotes_a_part_is_text() -> None:
    assert not is_elsewhere("text/markdown", f"Content-Type: {URL}".encode())


def test_many_beginnings_take_linear_time() -> None:
    """The search looks at each octet a few times, with any repetitions in the body."""
    assert not is_elsewhere("multipart/mixed", b"external-body" + b"content-type: \t" * 8_000)
    assert not is_elsewhere("multipart/mixed", b"external-body content-type" + b" " * 120_000)
