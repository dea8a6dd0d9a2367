"""Bodies with parts: each media line is in a description that was found, and the parser of e-mail finds the same."""

from __future__ import annotations

import email
import email.policy
import re
from typing import Final

from fuzz.target import Target, require
from sipmesh.errors import RemoteError
from sipmesh.routing.media.bodies import MAX_PARTS, descriptions_in
from sipmesh.sip.message import build_request
from sipmesh.sip.text import has_control, text_of
from support.descriptions import CLEAR, SDES, SDP, multipart

_MEDIA_LINE: Final = re.compile(rb"(?:\A|[\r\n])m=[^\r\n]*")


def check(data: bytes) -> None:
    """Read *data*: a Content-Type, a line feed and a body."""
    head, _, body = data.partition(b"\n")
    content_type = text_of(head)
    if has_control(content_type):
        return
    message = build_request("INVITE", "sip:bob@example.test", (), body, content_type)
    try:
        found = descriptions_in(message)
    except RemoteError as wrong:
        require(wrong.status in {400, 415}, f"status {wrong.status}")
        return
    require(len(found) <= MAX_PARTS, "more descriptions than parts")
    require(all(part in body for part in found), "a description that did not come")
    ours = [line.strip() for part in found for line in _MEDIA_LINE.findall(part)]
    require(ours == [line.strip() for line in _MEDIA_LINE.findall(body)], "a media line was not found")
    if head.isascii() and ours:
        theirs = [line.strip() for part in _leaves(head, body) for line in _MEDIA_LINE.findall(part)]
        # That parser gives octets that are not ASCII as U+FFFD, in some charsets.
        require(
            [_shown(line) for line in theirs] == [_shown(line) for line in ours],
            f"another reader finds {theirs}, not {ours}",
        )


def _shown(line: bytes) -> str:
    return line.decode("ascii", errors="ignore")


def _leaves(head: bytes, body: bytes) -> list[bytes]:
    """Give the contents of the parts that have no parts, as the parser of e-mail in Python reads them."""
    read = email.message_from_bytes(b"Content-Type: " + head + b"\r\n\r\n" + body, policy=email.policy.compat32)
    return [
        str(part.get_payload()).encode("utf-8", "surrogateescape") for part in read.walk() if not part.is_multipart()
    ]


MIXED: Final = b"multipart/mixed;boundary=b1\n"

TARGET: Final = Target(
    name="multipart",
    holds="raises RemoteError only; no media line is outside of the descriptions found; the e-mail parser finds the same",
    check=check,
    seeds=(
        MIXED + multipart((SDP, SDES), ("text/plain", b"hello")),
        MIXED + multipart((SDP, SDES), (SDP, CLEAR)).replace(b"\r\n", b"\n"),
        MIXED + multipart(("multipart/alternative;boundary=b2", multipart((SDP, SDES), boundary="b2"))),
        b'Multipart / Mixed ; boundary="b1"\n' + multipart((SDP + "\r\nContent-Transfer-Encoding: 8bit", SDES)),
        b"application/sdp\n" + SDES,
        b"text/plain\nhello",
        b"text/plain\n" + CLEAR,
    ),
    work=300,
)
