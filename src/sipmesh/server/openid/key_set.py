"""The public keys of an OpenID provider (JWK Set, RFC 7517 section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt

from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.openid.token import KEY_TYPES

PUBLIC_MEMBERS: Final = ("kty", "crv", "x", "y", "n", "e", "kid", "alg", "use")
PRIVATE_MEMBER: Final = "d"
"""Of RSA, EC and OKP (RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2)."""

MOST_KEYS: Final = 50
LONGEST_RSA: Final = 8192
LONGEST_EXPONENT: Final = 64


def read_keys(document: Mapping[str, Any]) -> Sequence[jwt.PyJWK]:
    """Return the keys of a JWK Set; raises `OpenIdError`.

    A key of another type is ignored (RFC 7517 section 5). The set is refused for a private key and for a key that is too
    large: to read these, or to check a signature with them, could take minutes.
    """
    entries = document.get("keys")
    if not isinstance(entries, list) or len(entries) > MOST_KEYS:
        raise OpenIdError(f"it has no list of at most {MOST_KEYS} keys")
    keys = [_public(entry) for entry in entries if isinstance(entry, dict) and entry.get("kty") in KEY_TYPES]
    try:
        return jwt.PyJWKSet(keys).keys
    except (jwt.PyJWTError, TypeError, ValueError, LookupError, AttributeError) as wrong:
        raise OpenIdError(f"its keys cannot be read: {wrong}") from None


def _public(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return the public members of *key*."""
    if PRIVATE_MEMBER in key:
        raise OpenIdError("it shows a private key among its keys")
    _must_have_bits(key, "n", LONGEST_RSA)
    _must_have_bits(key, "e", LONGEST_EXPONENT)
    return {name: key[name] for name in PUBLIC_MEMBERS if name in key}


def _must_have_bits(key: Mapping[str, Any], name: str, most: int) -> None:
    """Refuse a number of more than *most* bits; six bits are one character of base64url."""
    number = key.get(name, "")
    if not isinstance(number, str) or len(number) > -(-most // 8 * 8 // 6) + 1:
        raise OpenIdError(f"it has a key whose {name} has more than {most} bits")
