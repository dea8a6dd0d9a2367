"""What a record says of the media of a call: how the answer protects them."""

from __future__ import annotations

from typing import Final

from sipmesh.routing.media.protection import DTLS, SRTP, TLS
from sipmesh.sip.text import ascii_upper

_NONE: Final = 0
_SRTP: Final = 1
_DTLS: Final = 2
_TLS: Final = 3
_NO_MEDIA: Final = 4
SAID: Final = ("none", "SRTP", "DTLS-SRTP", "TLS", "")
_GRADES: Final = {
    profile.encode(): grade for grade, profiles in ((_SRTP, SRTP), (_DTLS, DTLS), (_TLS, TLS)) for profile in profiles
}
_FEWEST_WORDS: Final = 3  # media, port and profile
_DIGITS: Final = b"0123456789"
_KEYS: Final = b"\na=crypto:"


def told_media(body: bytes) -> str:
    """Tell how the session description in *body* protects its media: the weakest of its sections; "" without any media.

    It is no verdict: the media policy has judged the same description (`MediaGuard`). SRTP without keys in the description has
    them from DTLS.
    """
    weakest, first = _NO_MEDIA, body.find(b"\nm=")
    at = first
    while at >= 0:
        ends = body.find(b"\n", at + 1)
        grade = _grade(body[at + 1 : ends] if ends >= 0 else body[at + 1 :])
        if grade < weakest:  # noqa: PLR1730 - a call of min() costs more than the rest of this line
            weakest = grade
        at = body.find(b"\nm=", ends) if ends >= 0 else -1
    if weakest == _SRTP and body.find(_KEYS, first) < 0:
        weakest = _DTLS
    return SAID[weakest]


def _grade(line: bytes) -> int:
    """Grade a section by its media line; `_NO_MEDIA` if it is not in use, or if this is no media line."""
    words = line.split(b" ", 3)
    if len(words) < _FEWEST_WORDS:
        return _NO_MEDIA
    port = words[1]
    if port.strip(_DIGITS):  # a number of ports, or no number
        port = port.partition(b"/")[0]
    if port.strip(_DIGITS) or not port.strip(b"0"):
        return _NO_MEDIA
    grade = _GRADES.get(words[2])
    return grade if grade is not None else _GRADES.get(_capitals(words[2].rstrip(b"\r")), _NONE)


def _capitals(profile: bytes) -> bytes:
    return ascii_upper(profile.decode("latin-1")).encode("latin-1")
