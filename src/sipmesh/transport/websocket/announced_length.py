"""The length of a WebSocket message as the headers of its frames announce it (RFC 6455 section 5.2)."""

from __future__ import annotations

from typing import Final

_SHORTEST: Final = 2
_EXTENDED: Final = {126: 2, 127: 8}
_MASK: Final = 4
_CONTROL: Final = 0x08
_END: Final = 0x80
_MASKED: Final = 0x80


class AnnouncedLength:
    """Follows the frames of one peer. *octets* are those of the message that goes on, as far as headers have arrived."""

    __slots__ = ("_header", "_left", "_went_on", "octets")

    def __init__(self) -> None:
        self._header = bytearray()
        self._left = 0  # octets of the frame that goes on
        self._went_on = False  # whether the last frame of a message has a further one
        self.octets = 0

    def follow(self, data: bytes, most: int) -> int:
        """Follow *data*, and return how many octets of it: all, or those up to the header that announces more than *most*."""
        at = 0
        while at < len(data):
            if not self._left:
                missing = self._missing()
                self._header += data[at : at + missing]
                at = min(at + missing, len(data))
                if self._missing() == 0:
                    self._begin()
                    if self.octets > most:
                        return at
            step = min(self._left, len(data) - at)
            self._left -= step
            at += step
        return at

    def _missing(self) -> int:
        """Return how many octets the header lacks, as far as it says."""
        header = self._header
        if len(header) < _SHORTEST:
            return _SHORTEST - len(header)
        length = _SHORTEST + _EXTENDED.get(header[1] & ~_MASKED, 0) + (_MASK if header[1] & _MASKED else 0)
        return length - len(header)

    def _begin(self) -> None:
        """Begin the frame whose header is complete; a control frame stands between the frames of a message (section 5.4)."""
        first, short = self._header[0], self._header[1] & ~_MASKED
        extended = self._header[_SHORTEST : _SHORTEST + _EXTENDED.get(short, 0)]
        self._left = int.from_bytes(extended, "big") if extended else short
        self._header.clear()
        if not first & _CONTROL:
            self.octets = self._left + (self.octets if self._went_on else 0)
            self._went_on = not first & _END
