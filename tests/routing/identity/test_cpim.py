"""The sender that the body of a MESSAGE names must be a name that its sender may use."""

from __future__ import annotations

import pytest

from routing.messages import ALICE, BOB, request, server
from sipmesh.errors import RemoteError
from sipmesh.routing.identity.cpim import LARGEST_HEADER, authors_of, refused_author
from sipmesh.routing.identity.sender import ClientSender, Sender, ServerSender
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.descriptions import with_body

OF_ALICE = ClientSender(7, 9, frozenset({ALICE}))
FRONT_END = ServerSender(LinkKind.SERVER, server("fe9.example.test", Role.FRONT_END, "pool9.example.test"))
CONTENT = b"\r\n\r\nContent-Type: text/plain\r\n\r\nhello"


def status(body: bytes, sender: Sender = OF_ALICE, kind: str = "message/cpim", method: str = "MESSAGE") -> int:
    """The status of the refusal, 0 for none."""
    refused = refused_author(with_body(request(method, BOB), body, kind), sender)
    return 0 if refused is None else refused.status


@pytest.mark.parametrize(
    ("header", "refused"),
    [
        (f"From: Alice <{ALICE}>", 0),
        ("From: <sip:alice@example.test;gr=urn:uuid:1>", 0),
        ("From: <im:alice@example.test>", 0),
        ("From: <sip:anonymous@anonymous.invalid>", 0),
        (f"To: <{BOB}>", 0),
        (f"From: Alice <{BOB}>", 403),
        (f"from:<{BOB}>", 403),
        (f"NS: a <urn:ietf:params:cpim-headers:>\r\na.From: <{BOB}>", 403),
        (f"From: <{ALICE}>\r\nFrom: <{BOB}>", 403),
        ("From: <IM:bob@example.test>", 403),
        (f'From: "<{ALICE}>" <{BOB}>', 403),
        (f"From: {BOB}", 403),
        (f"To: <{BOB}>\r\n From: <{BOB}>", 403),
        (f"To: <{BOB}>\rFrom: <{BOB}>", 403),
        ("From: <mailto:alice@example.test>", 403),
        ("From: <sip:@>", 403),
    ],
)
def test_author_is_a_name_of_the_sender(header: str, refused: int) -> None:
    assert status(header.encode() + CONTENT) == refused


@pytest.mark.parametrize("kind", ["Message/CPIM", "message/cpim; charset=utf-8", "message / cpim", "message/cpim (x)"])
def test_type_is_cpim_in_any_spelling(kind: str) -> None:
    assert status(f"From: <{BOB}>".encode() + CONTENT, kind=kind) == 403


def test_other_bodies_and_methods_are_not_read() -> None:
    body = f"From: <{BOB}>".encode() + CONTENT
    assert status(body, kind="text/plain") == status(body, method="INFO") == status(b"") == 0


def test_servers_of_ours_say_who_has_written() -> None:
    assert status(f"From: <{BOB}>".encode() + CONTENT, FRONT_END) == 0


def test_encoded_body_is_refused() -> None:
    asked = with_body(request("MESSAGE", BOB, ("content-encoding", "gzip")), b"\x1f\x8b", "message/cpim")
    refused = refused_author(asked, OF_ALICE)
    assert refused is not None
    assert refused.status == 415


@pytest.mark.parametrize("body", [b"", b"From: <sip:a@b.test>", b"\r\n\r\nFrom: <sip:a@b.test>\r\n\r\n", b"x\r\n\r\n"])
def test_header_that_cannot_be_read_is_a_remote_error(body: bytes) -> None:
    with pytest.raises(RemoteError):
        authors_of(body)


def test_header_is_bounded() -> None:
    row = b"Subject: " + b"x" * (LARGEST_HEADER - 9)
    assert authors_of(row + CONTENT) == []
    with pytest.raises(RemoteError):
        authors_of(row + b"x" + CONTENT)
