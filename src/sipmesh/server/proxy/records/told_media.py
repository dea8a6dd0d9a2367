"""What a record says of the media of a call: how the answer protects them."""

from __future__ import annotations

from typing import Final

from sipmesh.routing.media.protection import DTLS, SRTP, TLS

_NONE: Final = 0
_SRTP: Final = 1
_DTLS: Final = 2
_TLS: Final = 3
_NO_MEDIA: Final = 4
SAID: Final = ("none", "SRTP", "DTLS-SRTP", "TLS", "")
_GRADES: Final = {
    profile.encode(): grade for grade, profiles in ((_SRTP, SRTP), (_DTLS, DTLS), (_TLS, TLS)) for profile in profiles
}
_KEYS: Final = b"\na=crypto:"


def told_media(body: bytes) -> str:
    """Tell how the session description in *body* protects its media: the weakest of its sections; "" without any media.

    It is no verdict: the media policy has judged the same description (`MediaGuard`). SRTP without keys in the description has
    them from DTLS.
    """
    weakest, first = _NO_MEDIA, body.find(b"\nm=")
    at = first
    while at >= 0:
        weakest = min(weakest, _grade(body, at + 1))
        at = body.find(b"\nm=", at + 1)
    if weakest == _SRTP and body.find(_KEYS, first) < 0:
        weakest = _DTLS
    return SAID[weakest]


def _grade(body: bytes, at: int) -> int:
    """Grade the section whose media line begins *at*; `_NO_MEDIA` if it is not in use, or if this is no media line."""
    ends = body.find(b"\n", at)
    if ends < 0:
        ends = len(body)
    media_ends = body.find(b" ", at, ends)
    port_ends = body.find(b" ", media_ends + 1, ends)
    if media_ends < 0 or port_ends < 0:
        return _NO_MEDIA
    port = body[media_ends + 1 : port_ends].partition(b"/")[0]
    if not port.isdigit() or not port.strip(b"0"):
        return _NO_MEDIA
    profile_ends = body.find(b" ", port_ends + 1, ends)
    profile = body[port_ends + 1 : profile_ends if profile_ends >= 0 else ends]
    grade = _GRADES.get(profile)
    return grade if grade is not None else _GRADES.get(profile.rstrip(b"\r").upper(), _NONE)
