import pytest

from sipmesh.client.sdp import ClientMedia, make_answer, make_offer, read_media

VIDEO = b"m=video 5000 RTP/AVP 96\r\n"


def test_an_offer_has_one_audio_stream_and_ends_each_line_properly() -> None:
    offer = make_offer("127.0.0.1", 7)
    assert read_media(offer) == [ClientMedia("audio", 9, "RTP/SAVP", ("8", "0"), "1")]
    assert offer.startswith(b"v=0\r\no=- 7 7 IN IP4 127.0.0.1\r\n")
    assert offer.count(b"\n") == offer.count(b"\r\n")


def test_ipv6_address_has_its_type() -> None:
    assert b"c=IN IP6 2001:db8::1\r\n" in make_offer("2001:db8::1", 7)


def test_answer_has_a_line_for_each_stream_and_accepts_only_audio() -> None:
    offer = make_offer("127.0.0.1", 7) + VIDEO
    assert read_media(make_answer(offer, "127.0.0.1", 8)) == [
        ClientMedia("audio", 9, "RTP/SAVP", ("8",), "1"),
        ClientMedia("video", 0, "RTP/AVP", ("96",)),
    ]


@pytest.mark.parametrize(
    ("line", "port"),
    [
        (b"audio 5000 RTP/AVP 0", 9),
        (b"audio 0 RTP/AVP 0", 0),
        (b"audio 5000 UDP/TLS/RTP/SAVP 0", 0),
        (b"audio 5000 RTP/SAVP 0", 0),
        (b"audio 5000 RTP/SAVP 0\r\na=crypto:2 F8_128_HMAC_SHA1_80 inline:x", 0),
        (b"audio 5000 RTP/SAVP 0\r\na=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:x", 9),
    ],
)
def test_disabled_stream_or_other_protocol_is_refused(line: bytes, port: int) -> None:
    assert read_media(make_answer(b"m=" + line, "127.0.0.1", 8))[0].port == port


def test_each_description_has_a_key_of_its_own() -> None:
    """RFC 4568 6.1: a key must not be used twice."""
    offers = {make_offer("127.0.0.1", 7) for _ in range(2)}
    assert len(offers | {make_answer(offer, "127.0.0.1", 7) for offer in offers}) == 4


@pytest.mark.parametrize(
    "line",
    [
        b"m=",
        b"m=audio",
        b"m=audio x RTP/AVP",
        b"\xff\xfe",
        "m=audio \u0661 RTP/AVP".encode(),
        b"m=audio " + b"9" * 5_000 + b" RTP/AVP",
        b"m=audio 65536 RTP/AVP",
        b"m=audio 5 RTP\x0b/AVP",
        "s=\u0085m=audio 5 RTP/AVP".encode(),
    ],
)
def test_a_line_that_cannot_be_read_is_left_out(line: bytes) -> None:
    assert read_media(line + b"\r\n" + VIDEO) == [ClientMedia("video", 5000, "RTP/AVP", ("96",))]
