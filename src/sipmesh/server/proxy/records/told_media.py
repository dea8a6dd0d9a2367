"""What a record says of the media of a call: how the answer protects them."""

from __future__ import annotations

import re
from typing import Final

from sipmesh.routing.media.protection import DTLS, SRTP, TLS
from sipmesh.sip.text import ascii_upper

_MEDIA: Final = re.compile(rb"^m=[^ \r\n]+ ([0-9]+)[^ \r\n]* ([A-Za-z0-9/]+)", re.MULTILINE)
_NONE: Final = "none"
_WEAKEST_FIRST: Final = (_NONE, "SRTP", "DTLS-SRTP", "TLS")


def told_media(body: bytes) -> str:
    """Tell how the session description in *body* protects its media: the weakest of its sections; "" without any media.

    It is no verdict: the media policy has judged the same description (`MediaGuard`).
    """
    if not body:
        return ""
    has_fingerprint = b"a=fingerprint:" in body
    found = {_told(profile, has_fingerprint) for port, profile in _MEDIA.findall(body) if port.strip(b"0")}
    for told in _WEAKEST_FIRST:
        if told in found:
            return told
    return ""


def _told(profile: bytes, has_fingerprint: bool) -> str:  # noqa: FBT001 - one call
    name = ascii_upper(profile.decode())
    if name in SRTP:
        return "DTLS-SRTP" if has_fingerprint else "SRTP"
    if name in DTLS:
        return "DTLS-SRTP"
    return "TLS" if name in TLS else _NONE
