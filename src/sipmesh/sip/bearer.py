"""The access token of a REGISTER, and how a challenge offers logins by tokens (RFC 8898 section 2)."""

from __future__ import annotations

from typing import Final

from sipmesh.sip.message import Request
from sipmesh.sip.text import LWS, ascii_lower

SCHEME: Final = "bearer"
INVALID: Final = "invalid_token"
"""The error for a token that does not count (RFC 6750 section 3.1): the phone gets another one from the provider."""

MOST_CREDENTIALS: Final = 4
"""Rows that are read in one request, as of Digest."""


def is_bearer(value: str) -> bool:
    """Tell whether an Authorization or a challenge has the Bearer scheme."""
    return ascii_lower(value.strip(LWS).partition(" ")[0]) == SCHEME


def bearer_of(request: Request) -> str | None:
    """Give the access token of a REGISTER, None without one. Other requests need none on a link that is logged in."""
    if request.method != "REGISTER":
        return None
    for value in request.values("authorization")[:MOST_CREDENTIALS]:
        if is_bearer(value):
            return value.strip(LWS).partition(" ")[2].strip(LWS)
    return None


def bearer_challenge(issuer: str, *, failed: bool) -> tuple[str, str]:
    """Give the challenge that names the *issuer* of tokens; *failed* says that a token was refused."""
    error = f', error="{INVALID}"' if failed else ""
    return "www-authenticate", f'Bearer scope="sip", authz_server="{issuer}"{error}'
