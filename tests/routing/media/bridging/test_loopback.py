"""Which session descriptions ask for media at the host of rtpengine itself."""

from __future__ import annotations

import pytest

from sipmesh.routing.media.bridging.loopback import is_loopback, loopback_in
from support.descriptions import CLEAR, DTLS, SDES


@pytest.mark.parametrize(
    "line",
    [
        b"c=IN IP4 127.0.0.1",
        b"c=IN IP4 127.9.9.9/127",
        b"c=IN IP6 ::1",
        b"c=IN IP6 0:0:0:0:0:0:0:1",
        b"c=IN IP6 ::ffff:127.0.0.1",
        b"c=IN IP6 ::FFFF:7f00:1",
        b"c=IN IP6 0:0:0:0:0:FFFF:7F00:0001",
        b"c=IN IP6 0000:0000:0000:0000:0000:0000:0000:0001",
        b"a=rtcp:2223 IN IP4 127.0.0.1",
        b"a=candidate:1 1 UDP 2130706431 127.0.0.1 2223 typ host",
        b"a=candidate:1 1 UDP 1 192.0.2.7 9 typ srflx raddr 127.0.0.1 rport 2223",
        b"a=remote-candidates:1 127.0.0.1 2223",
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b""])
def test_address_of_the_host_itself_is_found(line: bytes, end: bytes) -> None:
    assert loopback_in(SDES + line + end)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"o=- 1 1 IN IP4 127.0.0.1",
        b"c=IN IP4 0.0.0.0",
        b"c=IN IP6 2001:db8::1",
        b"a=label:127.0.0.1",
        b"a=candidate:::::",
    ],
)
def test_other_addresses_and_names_are_not(line: bytes) -> None:
    """0.0.0.0 puts a call on hold; the origin line is no address of media."""
    assert [loopback_in(sdp + line) for sdp in (SDES, CLEAR, DTLS)] == ["", "", ""]


def test_text_that_is_no_address_is_none() -> None:
    assert not any(
        map(
            is_loopback,
            (
                b"",
                b"::",
                b":::",
                b"128.0.0.1",
                b"2001:db8::1",
                b"::2",
                b"fe80::1",
                b"::7f00:0:1:ffff",
                b"\xff:\xff:",
                b"localhost",
            ),
        )
    )
