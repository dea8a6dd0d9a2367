"""What a record says of media."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.records.told_media import told_media
from support.descriptions import CLEAR, CRYPTO, DTLS, FINGERPRINT, SDES, SESSION


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (SDES, "SRTP"),
        (DTLS, "DTLS-SRTP"),
        (CLEAR, "none"),
        (SDES + b"m=video 5006 RTP/AVP 96\r\n", "none"),
        (SDES + b"m=video 0 RTP/AVP 96\r\n", "SRTP"),
        (SESSION + FINGERPRINT + b"m=audio 5004 RTP/SAVPF 0\r\n", "DTLS-SRTP"),
        (SESSION + b"m=audio 5004/2 rtp/savp 0\n" + CRYPTO, "SRTP"),
        (SESSION + b"m=message 5004 TCP/TLS/MSRP *\r\n", "TLS"),
        (SESSION + b"m=audio 5004 RTP/SAVP\r\n" + CRYPTO, "SRTP"),
        (SESSION + b"m=audio 5004 RTP/SAVP", "DTLS-SRTP"),
        (SESSION + b"m=audio\r\nm=audio 5004\r\nm=audio x RTP/AVP 0\r\n", ""),
        (b"", ""),
        (b"Hello", ""),
        (b"\xff\xfem=audio", ""),
    ],
)
def test_weakest_section_counts(body: bytes, told: str) -> None:
    assert told_media(body) == told


def test_work_is_bounded_by_the_octets() -> None:
    """Each line is cut before it is searched: 100,000 media lines without a blank take no longer than other octets."""
    assert told_media(b"\nm=" * 100_000) == ""
