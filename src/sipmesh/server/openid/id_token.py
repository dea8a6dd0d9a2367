"""The checks of an ID token (OpenID Connect Core 1.0 section 3.1.3.7)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.openid.token import judge_token

if TYPE_CHECKING:
    import jwt

REQUIRED: Final = ("iss", "sub", "aud", "exp", "iat", "nonce")


def check_id_token(
    token: str, keys: Sequence[jwt.PyJWK], *, issuer: str, client_id: str, nonce: str
) -> Mapping[str, Any]:
    """Return the claims of *token*; raises `OpenIdError` if a check fails.

    It must be for *client_id*, and have the *nonce* of this log-in, so that a token of another log-in is worth nothing.
    """
    claims = judge_token(token, keys, what="ID token", issuer=issuer, audience=client_id, required=REQUIRED)
    if not secrets.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
        raise OpenIdError("its ID token is of another log-in: the nonce differs")
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if claims.get("azp", client_id) != client_id or (len(audiences) > 1 and "azp" not in claims):
        raise OpenIdError("its ID token was made for another client (azp)")
    return claims
