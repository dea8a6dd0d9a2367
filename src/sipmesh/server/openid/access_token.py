"""The checks of an access token (RFC 9068 section 4), and the user whom it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jwt

from sipmesh.errors import SipmeshError
from sipmesh.printable import printable
from sipmesh.routing.registrar.address_of_record import read_address
from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.openid.token import judge_token
from sipmesh.server.openid.token_digest import digest_of, session_hash
from sipmesh.sip.text import ascii_lower

if TYPE_CHECKING:
    from sipmesh.topology.document.parts.oauth import OAuth

REQUIRED: Final = ("iss", "aud", "exp", "iat")
TYPES: Final = ("at+jwt", "application/at+jwt", "jwt", "")
"""What ``typ`` may be (RFC 9068 section 2.1). Many providers write JWT, or nothing: then the audience alone tells an access token
from an ID token, and no client has that name (`topology.document.checks.oauth`). A logout token has a type of its own."""

LONGEST_TOKEN: Final = 8_192
LONGEST_NAME: Final = 255
EMAIL: Final = "email"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An accepted token: the *user* whom it names, as ``sip:user@domain``, and until when it counts (*ends_at*, epoch seconds).

    *digest* is the SHA-256 of the token: the token itself is kept nowhere. It was *issued_at*; *session* is the hash of ``sid``,
    "" for a token that names no session.
    """

    user: str
    ends_at: float
    digest: str
    issued_at: float
    session: str


def check_access_token(
    token: str, keys: Sequence[jwt.PyJWK], oauth: OAuth, domains: Sequence[str], now: float
) -> AccessToken:
    """Return what *token* proves at the epoch time *now*; raises `OpenIdError` if a check fails."""
    if len(token) > LONGEST_TOKEN:
        raise OpenIdError(f"its access token has more than {LONGEST_TOKEN} characters")
    claims = judge_token(
        token, keys, what="access token", issuer=oauth.issuer, audience=oauth.audience, required=REQUIRED
    )
    if ascii_lower(str(jwt.get_unverified_header(token).get("typ", ""))) not in TYPES:
        raise OpenIdError("its access token is refused: it is a token of another type (typ)")
    if float(claims["exp"]) <= now:
        raise OpenIdError("its access token is refused: Signature has expired")
    user, session = user_of(claims, oauth.claim, domains), session_hash(str(claims.get("sid") or ""))
    return AccessToken(user, float(claims["exp"]), digest_of(token), float(claims["iat"]), session)


def user_of(claims: Mapping[str, Any], claim: str, domains: Sequence[str]) -> str:
    """Return the address of record that *claim* names: an address, or the user part where there is one SIP domain.

    Raises `OpenIdError`. An address of mail that the provider has not verified is ignored: its owner may have typed it.
    """
    name = claims.get(claim)
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or printable(name) != name:
        raise OpenIdError(f"its access token has no usable claim {claim!r}")
    if claim == EMAIL and claims.get("email_verified") is not True:
        raise OpenIdError("its access token has an address of mail that is not verified (email_verified)")
    user, mark, domain = name.rpartition("@")
    if not mark and len(domains) != 1:
        raise OpenIdError(f"its access token names {name!r} without a domain, and there are several SIP domains")
    try:
        found = read_address(f"{user}@{domain}" if mark else f"{name}@{domains[0]}").aor
    except (SipmeshError, ValueError):
        raise OpenIdError(f"its access token names {name!r}, which is no address of a user") from None
    if found.rpartition("@")[2] not in domains:
        raise OpenIdError(f"its access token names {name!r}, who is of no SIP domain of ours")
    return found
