"""A phone that reads session descriptions tolerantly finds no media in the clear in what the judge has passed."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from routing.messages import request
from sipmesh.routing.media.judgement import fault_in
from sipmesh.routing.media.protection import DTLS, SRTP, TLS
from sipmesh.topology.document.media_policy import MediaPolicy
from support.descriptions import CRYPTO, FINGERPRINT, SDES, SESSION, with_body
from support.examples import examples

ENDS = ["\r\n", "\n", "\r", "\n\r", "\r\n\r\n", "\0", "\x0b", "\x0c", "\x85", "\u2028", " \r\n", "\r\n ", ""]
PIECES = [
    *(line.decode() for line in SESSION.split(b"\r\n") if line),
    "m=audio 5004 RTP/AVP 0",
    "m=audio 5004 RTP/SAVP 0",
    "m=audio 5004 UDP/TLS/RTP/SAVPF 0",
    "m=audio 0 RTP/AVP 0",
    " m=audio 5004 RTP/AVP 0",
    "M=audio 5004 RTP/AVP 0",
    "m =audio 5004 RTP/AVP 0",
    "m=audio  5004 RTP/AVP 0",
    "m=audio\t5004\tRTP/AVP\t0",
    "m=audio 5004/2 rtp/avp 0",
    CRYPTO.decode().strip("\r\n"),
    FINGERPRINT.decode().strip("\r\n"),
    "a=tcap:1 RTP/AVP",
    "--b1",
    "--b1--",
    "Content-Type: application/sdp",
    "Content-Type: text/plain",
    "Content-Transfer-Encoding: base64",
    "",
]
TYPES = ["application/sdp", "multipart/mixed;boundary=b1", "multipart/alternative;boundary=b1", "text/plain", ""]
ENCRYPTED = SRTP | DTLS | TLS
LINES = re.compile("[\r\n\0\x0b\x0c\x85\u2028]")
MEDIA = re.compile(r"\s*m\s*=\s*\S+\s+(\d+)\S*\s+(\S+)", re.IGNORECASE)


def profiles_for_a_tolerant_phone(body: bytes) -> list[str]:
    """Give the profile of each media line in use, wherever it is, in the widest reading of lines, blanks and case."""
    found = [MEDIA.match(line) for line in LINES.split(body.decode(errors="replace"))]
    return [media[2].upper() for media in found if media is not None and int(media[1]) != 0]


@examples(300)
@given(st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(ENDS)), max_size=14), st.sampled_from(TYPES))
def test_what_passes_has_no_media_in_the_clear_for_any_reader(lines: list[tuple[str, str]], content_type: str) -> None:
    body = "".join(line + end for line, end in lines).encode()
    for whole in (body, SDES + body, SESSION + body):
        if whole and fault_in(with_body(request(), whole, content_type), MediaPolicy.REQUIRED) is None:
            assert ENCRYPTED.issuperset(profiles_for_a_tolerant_phone(whole)), whole


def test_the_tolerant_phone_finds_the_odd_lines() -> None:
    """So that the property above does not hold because its reader is blind."""
    odd = [
        piece for piece in PIECES if "avp" in piece.lower() and "savp" not in piece.lower() and " 0 RTP" not in piece
    ]
    assert len(odd) >= 6
    for piece in odd:
        if not piece.startswith("a="):
            assert profiles_for_a_tolerant_phone(b"v=0\r" + piece.encode()) == ["RTP/AVP"]
