"""Media that rtpengine would send to its own host: its control socket listens there, and takes each command."""

from __future__ import annotations

import re
from typing import Final

_PLACES: Final = re.compile(rb"(?<![^\r\n])(?:c=|a=(?:candidate|rtcp|remote-candidates):)([^\r\n]*)")
"""The lines whose address rtpengine sends to. That of the origin line is a name only (RFC 8866 section 5.2)."""

_BLANKS: Final = re.compile(rb"[ \t/]+")
MOST_WORDS: Final = 24
"""Words of one line that are looked at: the address is the third or the fifth one, and the sixth of a candidate's relay."""

LONGEST: Final = 45  # RFC 4291 section 2.2, with an IPv4 address at its end

_LOOPBACK: Final = re.compile(
    rb"127\.[0-9.]+|[0:]*:0{0,3}1|[0:]*:[fF]{4}:(?:127\.[0-9.]+|0?0?7[fF][0-9a-fA-F]{2}:[0-9a-fA-F]{1,4})"
)
"""An address of 127.0.0.0/8, ::1, or one of 127.0.0.0/8 in IPv6. A phone can send very many words, so each costs one look."""


def loopback_in(sdp: bytes) -> str:
    """Give the first address of loopback to which *sdp* asks for media, "" if there is none."""
    for line in _PLACES.finditer(sdp):
        for word in _BLANKS.split(line.group(1), MOST_WORDS):
            if is_loopback(word):
                return word.decode("latin-1")
    return ""


def is_loopback(word: bytes) -> bool:
    """Tell whether *word* is an address of the host itself, in any spelling."""
    return len(word) <= LONGEST and _LOOPBACK.fullmatch(word) is not None
