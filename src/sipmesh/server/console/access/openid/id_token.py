"""The checks of an ID token (OpenID Connect Core 1.0 section 3.1.3.7)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sipmesh.server.console.access.openid.metadata import OpenIdError
from sipmesh.sip import base64url
from sipmesh.strict_json import read_object

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a public key. Neither ``none`` nor an HMAC, whose key an attacker could know (RFC 8725 section 2.1)."""

KEY_TYPES: Final = ("RSA", "EC", "OKP")
SHORTEST_RSA: Final = 2048
LEEWAY_S: Final = 30
"""Seconds by which the clocks of the provider and of this server may differ."""

REQUIRED: Final = ("iss", "sub", "aud", "exp", "iat", "nonce")


def check_id_token(
    token: str, keys: Sequence[jwt.PyJWK], *, issuer: str, client_id: str, nonce: str
) -> Mapping[str, Any]:
    """Return the claims of *token*; raises `OpenIdError` if a check fails.

    *keys* are those of the provider. The token must be signed with one of them, come from *issuer*, be for *client_id*, be
    valid now, and have the *nonce* of this log-in, so that a token of another log-in is worth nothing.
    """
    try:
        for part in token.split(".")[:2]:  # header and claims: the library would take the last of two values
            read_object(base64url.decode(part.encode()))
        claims = jwt.decode(
            token,
            _key_for(token, keys),
            algorithms=list(ALGORITHMS),
            audience=client_id,
            issuer=issuer,
            leeway=LEEWAY_S,
            options={"require": list(REQUIRED)},
        )
    except (jwt.PyJWTError, ValueError) as wrong:
        raise OpenIdError(f"its ID token is refused: {wrong}") from None
    if not secrets.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
        raise OpenIdError("its ID token is of another log-in: the nonce differs")
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if claims.get("azp", client_id) != client_id or (len(audiences) > 1 and "azp" not in claims):
        raise OpenIdError("its ID token was made for another client (azp)")
    return claims


def _key_for(token: str, keys: Sequence[jwt.PyJWK]) -> jwt.PyJWK:
    """Return the key that the token names, or the only one; raises `OpenIdError` for a key that does not count."""
    wanted = jwt.get_unverified_header(token).get("kid")
    found = [key for key in keys if key.key_id == wanted] if wanted is not None else list(keys)
    if len(found) != 1:
        raise OpenIdError("its ID token names no key of the provider")
    [key] = found
    is_short = isinstance(key.key, RSAPublicKey) and key.key.key_size < SHORTEST_RSA
    if key.key_type not in KEY_TYPES or is_short:
        raise OpenIdError("its ID token names a key that does not count: use RSA of 2048 bits or more, EC, or Ed25519")
    return key
