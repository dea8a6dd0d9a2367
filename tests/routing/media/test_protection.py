"""Which media sections are encrypted, and which only look so."""

from __future__ import annotations

import pytest

from sipmesh.routing.media.description import read_description
from sipmesh.routing.media.protection import Grade, Protection, protections_of
from support.descriptions import CRYPTO, FINGERPRINT, KEY, SESSION

SAVP = b"m=audio 5004 RTP/SAVP 0\r\n"
DTLS = b"m=audio 5004 UDP/TLS/RTP/SAVPF 0\r\n"
AVP = b"m=audio 5004 RTP/AVP 0\r\n"


def graded(body: bytes) -> list[Protection]:
    return protections_of(read_description(SESSION + body))


@pytest.mark.parametrize(
    "body",
    [
        SAVP + CRYPTO,
        SAVP.replace(b"SAVP", b"SAVPF") + CRYPTO,
        SAVP.replace(b"RTP/SAVP", b"rtp/savp") + CRYPTO,
        SAVP + b"a=crypto:2 AEAD_AES_256_GCM inline:abc|2^20|1:32;inline:def FEC_ORDER=FEC_SRTP\r\n",
        SAVP + FINGERPRINT,
        FINGERPRINT + SAVP,
        DTLS + FINGERPRINT,
        FINGERPRINT + DTLS,
        b"m=message 9 TCP/TLS/MSRP *\r\n",
        b"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n" + FINGERPRINT,
        b"m=image 9 UDP/TLS/UDPTL t38\r\n" + FINGERPRINT,
        b"a=group:BUNDLE 0 1\r\n" + DTLS + b"a=mid:0\r\n" + FINGERPRINT + DTLS + b"a=mid:1\r\n",
        SAVP + CRYPTO + b"a=tcap:1 RTP/SAVPF\r\n",
        SAVP + CRYPTO + b"a=acap:1 " + CRYPTO[2:],
        SAVP + CRYPTO + b"a=acap:1 ptime:30\r\n",
        b"m=message 9 TCP/TLS/MSRP *\r\na=path:msrps://r.test:9/a;tcp msrps://b.test:9/b;tcp\r\n",
        b"m=application 9 TCP/WSS/BFCP *\r\na=websocket-uri:wss://b.test/\r\n",
    ],
)
def test_encrypted_media(body: bytes) -> None:
    assert {protection.grade for protection in graded(body)} == {Grade.ENCRYPTED}


@pytest.mark.parametrize(
    ("body", "grade"),
    [
        (AVP, Grade.CLEAR),
        (AVP + CRYPTO, Grade.OPPORTUNISTIC),
        (AVP + FINGERPRINT, Grade.OPPORTUNISTIC),
        (b"m=image 9 udptl t38\r\n", Grade.CLEAR),
        (b"m=message 9 TCP/MSRP *\r\n", Grade.CLEAR),
        (b"m=audio 9 RTP/NEW 0\r\n", Grade.CLEAR),
        (AVP + b"a=zrtp-hash:1.10 abc\r\n", Grade.CLEAR),
        (SAVP, Grade.BROKEN),
        (CRYPTO + SAVP, Grade.BROKEN),  # RFC 4568 5.1: a=crypto is at media level only
        (SAVP + b"a=Crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\r\n", Grade.BROKEN),
        (SAVP + CRYPTO.replace(b"\r\n", b" UNENCRYPTED_SRTP\r\n"), Grade.BROKEN),
        (SAVP + CRYPTO.replace(b"\r\n", b" UNENCRYPTED_SRTCP\r\n"), Grade.BROKEN),
        (SAVP + CRYPTO.replace(b"\r\n", b" unauthenticated_srtp\r\n"), Grade.BROKEN),
        (SAVP + CRYPTO.replace(b"\r\n", b"\tUNENCRYPTED_SRTP\r\n"), Grade.BROKEN),
        (SAVP + CRYPTO.replace(b"\r\n", b" KDR=1\tUNENCRYPTED_SRTP\r\n"), Grade.BROKEN),
        (SAVP + CRYPTO.replace(b"\r\n", b"\xc2\xa0KDR=1\r\n"), Grade.BROKEN),
        (SAVP + CRYPTO + b"a= crypto :2 NULL_HMAC_SHA1_80 inline:abc\r\n", Grade.BROKEN),
        (SAVP + CRYPTO + b"a=acap:1 crypto:1 NULL_HMAC_SHA1_80 inline:abc\r\n", Grade.BROKEN),
        (SAVP + CRYPTO + b"a=acap:1\tcrypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc UNENCRYPTED_SRTP\r\n", Grade.BROKEN),
        (SAVP + CRYPTO + b"a=acap:1 key-mgmt:mikey abc\r\n", Grade.BROKEN),
        (SAVP + CRYPTO + b"a=acap:1 acap:2 ptime:30\r\n", Grade.BROKEN),
        (b"m=message 9 TCP/TLS/MSRP *\r\na=path:msrp://b.test:9/b;tcp\r\n", Grade.BROKEN),
        (b"m=message 9 TCP/TLS/MSRP *\r\na=path:msrps://r.test:9/a;tcp MSRP://b.test:9/b;tcp\r\n", Grade.BROKEN),
        (b"m=application 9 TCP/WSS/BFCP *\r\na=websocket-uri:ws://b.test/\r\n", Grade.BROKEN),
        (SAVP + CRYPTO + CRYPTO.replace(b"AES_CM_128_HMAC_SHA1_80", b"NULL_HMAC_SHA1_80"), Grade.BROKEN),
        (SAVP + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80\r\n", Grade.BROKEN),
        (SAVP + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:\r\n", Grade.BROKEN),
        (SAVP + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc;uri:x\r\n", Grade.BROKEN),
        (SAVP + b"a=crypto:x AES_CM_128_HMAC_SHA1_80 inline:abc\r\n", Grade.BROKEN),
        (SAVP + CRYPTO + b"a=tcap:1 RTP/AVP\r\n", Grade.BROKEN),
        (b"a=tcap:1 RTP/SAVP RTP/AVP\r\n" + SAVP + CRYPTO, Grade.BROKEN),
        (SAVP + CRYPTO + b"a=key-mgmt:mikey abc\r\n", Grade.BROKEN),
        (b"a=key-mgmt:mikey abc\r\n" + SAVP + CRYPTO, Grade.BROKEN),
        (DTLS, Grade.BROKEN),
        (DTLS + CRYPTO, Grade.BROKEN),
        (DTLS + b"a=fingerprint:md5 AB\r\n", Grade.BROKEN),
        (DTLS + FINGERPRINT + b"a=fingerprint:md5 AB\r\n", Grade.BROKEN),
        (DTLS + b"a=fingerprint:sha-256\r\n", Grade.BROKEN),
        (b"m=audio 0 RTP/AVP 0\r\n", Grade.DECLINED),
        (b"m=audio 0 RTP/AVP 0\r\na=bundle-only\r\n", Grade.CLEAR),
        (b"m=audio 0 RTP/AVP 0\r\na=bundle-only \r\n", Grade.CLEAR),
    ],
)
def test_media_that_are_not_encrypted(body: bytes, grade: Grade) -> None:
    (protection,) = graded(body)
    assert protection.grade is grade
    assert KEY not in protection.why


def test_fingerprint_of_one_section_does_not_hold_for_another() -> None:
    """Unless both are in one bundle, and the section with the fingerprint is the first of it."""
    both = DTLS + b"a=mid:0\r\n" + FINGERPRINT + DTLS + b"a=mid:1\r\n"
    for session in (
        b"",
        b"a=group:BUNDLE 0\r\n",
        b"a=group:BUNDLE 1 0\r\n",
        b"a=group:LS 0 1\r\n",
        2 * b"a=group:BUNDLE 0 1\r\n",
    ):
        assert [protection.grade for protection in graded(session + both)] == [Grade.ENCRYPTED, Grade.BROKEN]
