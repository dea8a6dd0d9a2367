"""TLS records of a few octets in a ClientHello: OpenSSL works a microsecond and a half for each, and takes 131,072 of them.

RFC 8446 section 5.1 allows a handshake message in records of any length. Some clients cut a ClientHello into a few records. None
cuts it into thousands.
"""

from __future__ import annotations

from typing import Final

HEADER: Final = 5
"""Octets of the header of a record (RFC 8446 section 5.1): type, two of the version, two of the length."""

TINY: Final = 16
"""A record with fewer octets of a message is tiny."""

MOST_TINY: Final = 1_024
"""How many tiny records a ClientHello may have. A common one of 500 octets may come in records of one octet."""

_BEGIN: Final = b"\x16\x03"
"""How a record of a handshake message begins."""


def tiny_records(data: bytes) -> int:
    """Count the tiny records in *data*, which may begin inside a record, up to one more than `MOST_TINY`."""
    at = data.find(_BEGIN)
    if at < 0 or at > TINY + HEADER:
        at = 0
    count = 0
    while data[at : at + 2] == _BEGIN and at + HEADER <= len(data) and count <= MOST_TINY:
        length = int.from_bytes(data[at + 3 : at + HEADER])
        count += length < TINY
        at += HEADER + length
    return count
