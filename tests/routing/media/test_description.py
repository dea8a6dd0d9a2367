"""The reader of session descriptions finds what a tolerant phone finds, or refuses the description."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import RemoteError
from sipmesh.routing.media.description import MAX_LINES, MAX_MEDIA, read_description
from support.descriptions import KEY, SDES, SESSION


def test_a_section_has_its_media_line_and_its_attributes() -> None:
    session = read_description(
        SESSION + b"a=group:BUNDLE 0\r\nm=audio 5004/2 RTP/SAVP 0 8\r\na=mid:0\r\na=sendrecv\r\nm=x 0 a/b\r\n"
    )
    first, second = session.media
    assert (first.number, first.media, first.port, first.profile) == (1, "audio", 5004, "RTP/SAVP")
    assert first.attributes == [("mid", "0")]
    assert first.line == "m=audio 5004 RTP/SAVP"
    assert session.values("group") == ["BUNDLE 0"]
    assert (second.number, second.port, second.values("mid")) == (2, 0, [])


def test_what_says_nothing_about_keys_is_passed_over_in_its_usual_spelling_alone() -> None:
    body = SDES + b"a=rtpmap:0 PCMU/8000\r\na=sendrecv\r\na=Setup:active\r\na=bundle-only\r\n"
    assert [name for name, _ in read_description(body).media[0].attributes] == ["crypto", "Setup", "bundle-only"]


def test_lines_may_end_with_lf_alone_and_blank_lines_may_follow() -> None:
    assert read_description(SDES.replace(b"\r\n", b"\n") + b"\r\n\r\n").media[0].values("crypto")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\nv=0\r\n",
        b"\xef\xbb\xbf" + SDES,
        b"v=1\r\n",
        SDES + b"\r\nm=audio 5 RTP/AVP 0\r\n",
        SDES + b" m=audio 5 RTP/AVP 0\r\n",
        SDES + b"M=audio 5 RTP/AVP 0\r\n",
        SDES + b"a=x\rm=audio 5 RTP/AVP 0\r\n",
        SDES + b"a=x\x0bm=audio 5 RTP/AVP 0\r\n",
        SDES + b"a=x\x00m=audio 5 RTP/AVP 0\r\n",
        SDES + "a=x\u2028m=audio 5 RTP/AVP 0\r\n".encode(),
        SDES + b"v=0\r\n",
        SESSION + b"s=again\r\n",
        SESSION + b"x=1\r\n",
        SDES + b"t=0 0\r\n",
        SESSION + b"m=audio  5004 RTP/SAVP 0\r\n",
        SESSION + b"m=audio\t5004 RTP/SAVP 0\r\n",
        SESSION + b"m=audio 65536 RTP/SAVP 0\r\n",
        SESSION + b"m=audio 5/x RTP/SAVP 0\r\n",
        SESSION + b"m=audio 5 RTP//SAVP 0\r\n",
        SESSION + b"m=audio 5\r\n",
        SESSION + b"m=audio 9 a" + 16 * b"/a" + b"\r\n",
        SESSION + b"m=" + 33 * b"a" + b" 9 RTP/SAVP 0\r\n",
    ],
)
def test_what_another_reader_may_read_differently_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteError) as refused:
        read_description(body)
    assert KEY not in str(refused.value)


def test_media_lines_and_lines_have_limits() -> None:
    line = b"m=audio 0 RTP/AVP 0\r\n"
    assert len(read_description(SESSION + MAX_MEDIA * line).media) == MAX_MEDIA
    with pytest.raises(RemoteError, match=f"more than {MAX_MEDIA}"):
        read_description(SESSION + (MAX_MEDIA + 1) * line)
    read_description(SESSION + (MAX_LINES - 5) * b"a=x\r\n")
    with pytest.raises(RemoteError, match=f"above {MAX_LINES}"):
        read_description(SESSION + (MAX_LINES - 4) * b"a=x\r\n")


def test_an_error_does_not_quote_a_key() -> None:
    with pytest.raises(RemoteError) as refused:
        read_description(SESSION + f"A=crypto:1 AES inline:{KEY}".encode())
    assert KEY not in str(refused.value)


@given(st.binary(max_size=200))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    with contextlib.suppress(RemoteError):
        read_description(b"v=0\r\n" + octets)
