"""What a record says of the media of a call: how the answer protects them."""

from __future__ import annotations

from typing import Final

from sipmesh.routing.media.protection import DTLS, SRTP, TLS
from sipmesh.sip.text import is_digits

_NONE, _SRTP, _DTLS, _TLS, _NO_MEDIA = range(5)
"""From the weakest on."""
_SAID: Final = ("none", "SRTP", "DTLS-SRTP", "TLS", "")
_GRADES: Final = {
    **dict.fromkeys(SRTP, _SRTP),
    **dict.fromkeys(DTLS, _DTLS),
    **dict.fromkeys(TLS, _TLS),
}
_FEWEST_WORDS: Final = 3  # media, port and profile


def told_media(body: bytes) -> str:
    """Tell how the session description in *body* protects its media: the weakest of its sections; "" without any media.

    It is no verdict: the media policy has judged the same description (`MediaGuard`).
    """
    weakest = _NO_MEDIA
    at = 0 if body.startswith(b"m=") else body.find(b"\nm=") + 1
    if at == 0 and not body.startswith(b"m="):
        return ""
    while True:
        ends = body.find(b"\n", at)
        weakest = min(weakest, _grade(body[at:ends] if ends >= 0 else body[at:]))
        at = body.find(b"\nm=", at) + 1
        if at == 0:
            break
    if weakest == _SRTP and b"a=fingerprint:" in body:
        weakest = _DTLS
    return _SAID[weakest]


def _grade(line: bytes) -> int:
    """Grade one section by its media line; `_NO_MEDIA` for a section that is not in use, or that is no media line."""
    words = line.decode("latin-1").split(" ", _FEWEST_WORDS)
    if len(words) < _FEWEST_WORDS:
        return _NO_MEDIA
    port, profile = words[1].partition("/")[0], words[2].rstrip("\r")
    if not is_digits(port) or not port.strip("0"):
        return _NO_MEDIA
    return _GRADES.get(profile) or _GRADES.get(profile.upper(), _NONE)
