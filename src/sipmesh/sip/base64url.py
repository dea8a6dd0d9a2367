"""Base64url without padding (RFC 4648 section 5), in the one spelling that each octet string has."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encode(octets: bytes) -> str:
    """Write *octets* as base64url."""
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def decode(encoded: bytes) -> bytes:
    """Read base64url. Raises ValueError for a wrong length, and for another spelling of the same octets."""
    octets = urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4))
    if urlsafe_b64encode(octets).rstrip(b"=") != encoded:
        raise ValueError("its base64url is not the canonical one")
    return octets
