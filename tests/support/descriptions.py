"""Session descriptions of phones: with media in the clear, and with keys."""

from __future__ import annotations

from sipmesh.sip.message import Request, Response

SESSION = b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
CRYPTO = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n".encode()
FINGERPRINT = b"a=fingerprint:sha-256 " + b":".join([b"AB"] * 32) + b"\r\n"
CLEAR = SESSION + b"m=audio 5004 RTP/AVP 0\r\n"
OPPORTUNISTIC = CLEAR + CRYPTO
SDES = SESSION + b"m=audio 5004 RTP/SAVP 0\r\n" + CRYPTO
DTLS = SESSION + FINGERPRINT + b"m=audio 5004 UDP/TLS/RTP/SAVPF 111\r\n"
SDP = "application/sdp"


def with_body(message: Request, body: bytes, content_type: str = SDP) -> Request:
    """Give a request a body."""
    put_body(message, body, content_type)
    return message


def put_body(message: Request | Response, body: bytes, content_type: str = SDP) -> None:
    """Put a body into a message, with its type and its length."""
    message.body = body
    message.replace("content-length", str(len(body)))
    if content_type:
        message.replace("content-type", content_type)


def multipart(*parts: tuple[str, bytes], boundary: str = "b1") -> bytes:
    """Make a multipart body of parts with their types."""
    inner = b"".join(
        b"--%s\r\nContent-Type: %s\r\n\r\n%s\r\n" % (boundary.encode(), kind.encode(), body) for kind, body in parts
    )
    return inner + b"--%s--\r\n" % boundary.encode()
