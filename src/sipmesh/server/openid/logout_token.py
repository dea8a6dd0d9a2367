"""The checks of a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jwt

from sipmesh.server.openid.access_token import LONGEST_NAME, LONGEST_TOKEN
from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.openid.token import judge_token
from sipmesh.sip.text import ascii_lower

if TYPE_CHECKING:
    from collections.abc import Collection

REQUIRED: Final = ("iss", "aud", "iat", "exp", "jti", "events")
TYPES: Final = ("logout+jwt", "application/logout+jwt", "jwt", "")
EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
OLDEST_S: Final = 300
"""Seconds for which a logout token counts: the provider sends it at once."""


@dataclass(frozen=True, slots=True)
class LogoutToken:
    """An accepted token, whose ``jti`` is *id*: who has logged out at the instant *at*, in epoch seconds.

    One of *subject* and *session* may be empty.
    """

    id: str
    subject: str
    session: str
    at: int
    claims: Mapping[str, Any]


def has_logged_out(subject: str, session: str, told_subject: str, told_session: str) -> bool:
    """Tell whether a login of *subject* in *session* ends by a logout of *told_subject* in *told_session*; each may be empty.

    A login, or a logout, that names no session may be of each one.
    """
    if told_session and told_session == session:
        return True
    return bool(told_subject) and told_subject == subject and "" in (told_session, session)


def check_logout_token(
    token: str, keys: Sequence[jwt.PyJWK], issuer: str, clients: Collection[str], now: float
) -> LogoutToken:
    """Return what *token* says at the epoch time *now*; raises `OpenIdError` if a check fails.

    *clients* are ours at the provider.
    """
    if len(token) > LONGEST_TOKEN:
        raise OpenIdError(f"its logout token has more than {LONGEST_TOKEN} characters")
    claims = judge_token(token, keys, what="logout token", issuer=issuer, audience=sorted(clients), required=REQUIRED)
    if ascii_lower(str(jwt.get_unverified_header(token).get("typ", ""))) not in TYPES:
        raise OpenIdError("its logout token is refused: it is a token of another type (typ)")
    events = claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise OpenIdError("its logout token is refused: it tells no logout (events)")
    if "nonce" in claims:
        raise OpenIdError("its logout token is refused: it has a nonce, as an ID token has")
    if now - float(claims["iat"]) > OLDEST_S:
        raise OpenIdError(f"its logout token is refused: it is older than {OLDEST_S} s")
    subject, session, name = (_text(claims, claim) for claim in ("sub", "sid", "jti"))
    if not subject and not session:
        raise OpenIdError("its logout token names neither a user nor a session (sub, sid)")
    if not name:
        raise OpenIdError("its logout token has no usable jti")
    return LogoutToken(name, subject, session, int(claims["iat"]), claims)


def _text(claims: Mapping[str, Any], claim: str) -> str:
    """Return the text of a claim, "" if there is none; raises `OpenIdError` for any other value."""
    found = claims.get(claim, "")
    if not isinstance(found, str) or len(found) > LONGEST_NAME:
        raise OpenIdError(f"its logout token has no usable claim {claim!r}")
    return found
