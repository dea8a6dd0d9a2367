"""The file in an upload: the first part of a ``multipart/form-data`` body (RFC 7578), read piece by piece.

What follows the first part is passed over. The memory is bounded: a header of `LARGEST_HEADER`, and one piece.
"""

from __future__ import annotations

import re
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.sip.text import LWS, ascii_lower

LARGEST_HEADER: Final = 8 << 10
"""Octets of the header of the part, with the line before it."""

LONGEST_BOUNDARY: Final = 70
"""Characters of a boundary (RFC 2046 section 5.1.1)."""

_RULE: Final = "RFC 7578 section 4"
_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"]+)"|([^;\s"]+))', re.IGNORECASE | re.ASCII)
_NAME: Final = re.compile(r';\s*filename="([^"]*)"', re.IGNORECASE | re.ASCII)


def boundary_of(content_type: str) -> bytes:
    """Return the boundary in a Content-Type; raises `RemoteError` for another type, and without a boundary."""
    found = _BOUNDARY.search(content_type)
    kind, boundary = content_type.partition(";")[0].strip(LWS), (found[1] or found[2]) if found else ""
    if (
        ascii_lower(kind) != "multipart/form-data"
        or not 0 < len(boundary) <= LONGEST_BOUNDARY
        or not boundary.isascii()
    ):
        raise RemoteError("the upload is no multipart/form-data with a boundary", rule=_RULE)
    return boundary.encode()


class FirstPart:
    """Reads the first part. *name* and *content_type* are as the client wrote them; *is_whole* once the part has ended."""

    __slots__ = ("_held", "_in_header", "_line", "content_type", "is_whole", "name")

    def __init__(self, boundary: bytes) -> None:
        self._line = b"\r\n--" + boundary
        self._held, self._in_header = b"\r\n", True
        self.name, self.content_type, self.is_whole = "", "", False

    def __repr__(self) -> str:
        return f"<FirstPart whole={self.is_whole} held={len(self._held)}>"

    def feed(self, octets: bytes) -> bytes:
        """Take a piece of the body, and return what it adds to the content; raises `RemoteError` for a wrong header."""
        if self.is_whole:
            return b""
        self._held += octets
        if self._in_header and not self._read_header():
            return b""
        content, found, rest = self._held.partition(self._line)
        if found:
            self._held, self.is_whole = b"", True
            return content
        kept = len(self._line) - 1
        self._held = rest = content[-kept:]
        return content[: len(content) - len(rest)]

    def _read_header(self) -> bool:
        """Read the header of the part, and tell whether all of it is there."""
        begin, end = self._line + b"\r\n", self._held.find(b"\r\n\r\n")
        length = end if end >= 0 else len(self._held)
        if not self._held.startswith(begin[: len(self._held)]) or length > LARGEST_HEADER:
            raise RemoteError("the upload has no first part with a header", rule=_RULE)
        if end < 0:
            return False
        header = self._held[len(begin) : end].decode(errors="replace")
        rows = (row.partition(":") for row in header.split("\r\n"))
        fields = {ascii_lower(name.strip(LWS)): value.strip(LWS) for name, _, value in rows}
        named = _NAME.search(fields.get("content-disposition", ""))
        self.name, self.content_type = named[1] if named else "", fields.get("content-type", "")
        self._held, self._in_header = self._held[end + len(b"\r\n\r\n") :], False
        return True
