"""The checks of each token of an OpenID provider: its signature, issuer, audience and times (RFC 7519, RFC 8725)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.sip import base64url
from sipmesh.strict_json import read_object

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a public key. Neither ``none`` nor an HMAC, whose key an attacker could know (RFC 8725 section 2.1)."""

KEY_TYPES: Final = ("RSA", "EC", "OKP")
SHORTEST_RSA: Final = 2048
LEEWAY_S: Final = 30
"""Seconds by which the clocks of the provider and of this server may differ."""


class UnknownKeyError(OpenIdError):
    """The token names a key that the provider did not have when it was asked last."""


def judge_token(
    token: str,
    keys: Sequence[jwt.PyJWK],
    *,
    what: str,
    issuer: str,
    audience: str | Sequence[str],
    required: Sequence[str],
) -> Mapping[str, Any]:
    """Return the claims of *token*; raises `OpenIdError` if a check fails. *what* names the kind of token in the error.

    *keys* are those of the provider. The token must be signed with one of them, come from *issuer*, be for *audience* or one of
    these, be valid now, and have the *required* claims.
    """
    try:
        for part in token.split(".")[:2]:  # header and claims: the library would take the last of two values
            read_object(base64url.decode(part.encode()))
        claims: Mapping[str, Any] = jwt.decode(
            token,
            _key_for(token, keys, what),
            algorithms=list(ALGORITHMS),
            audience=audience,
            issuer=issuer,
            leeway=LEEWAY_S,
            options={"require": list(required)},
        )
    except (jwt.PyJWTError, ValueError) as wrong:
        raise OpenIdError(f"its {what} is refused: {wrong}") from None
    return claims


def _key_for(token: str, keys: Sequence[jwt.PyJWK], what: str) -> jwt.PyJWK:
    """Return the key that the token names, or the only one; raises `OpenIdError` for a key that does not count."""
    wanted = jwt.get_unverified_header(token).get("kid")
    found = [key for key in keys if key.key_id == wanted] if wanted is not None else list(keys)
    if len(found) != 1:
        raise UnknownKeyError(f"its {what} names no key of the provider")
    [key] = found
    is_short = isinstance(key.key, RSAPublicKey) and key.key.key_size < SHORTEST_RSA
    if key.key_type not in KEY_TYPES or is_short:
        raise OpenIdError(f"its {what} names a key that does not count: use RSA of 2048 bits or more, EC, or Ed25519")
    return key
