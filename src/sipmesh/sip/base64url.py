"""Base64url without padding (RFC 4648 section 5), in the one spelling that each octet string has."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import b2a_base64
from typing import Final

_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def encode(octets: bytes) -> str:
    """Write *octets* as base64url."""
    return _encoded(octets).decode()


def decode(encoded: bytes) -> bytes:
    """Read base64url. Raises ValueError for a wrong length, and for another spelling of the same octets."""
    octets = urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4))
    if _encoded(octets) != encoded:
        raise ValueError("its base64url is not the canonical one")
    return octets


def _encoded(octets: bytes) -> bytes:
    return b2a_base64(octets, newline=False).translate(_URL_SAFE).rstrip(b"=")
