"""Answers to challenges with a password, for our own realm only (RFC 3261 22.2, RFC 8760)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from sipmesh.errors import RemoteError
from sipmesh.sip.digest import DigestChallenge, answer, is_digest, parse_challenge
from sipmesh.sip.message import Request, Response

_HEADERS = {401: ("www-authenticate", "authorization"), 407: ("proxy-authenticate", "proxy-authorization")}


@dataclass(frozen=True, slots=True)
class Login:
    """A user's password at the user's domain; with an empty *password* no challenge is answered."""

    user: str
    realm: str
    password: str = field(repr=False)

    def credentials(self, request: Request, response: Response) -> tuple[str, str] | None:
        """Return the header field that answers the challenge in *response*, or None if there is nothing to answer.

        A challenge to our credentials is answered only if it calls them stale. Otherwise the password is wrong, and another
        attempt would only be another failed login.
        """
        names = _HEADERS.get(response.status)
        if names is None or not self.password:
            return None
        challenges = self._ours(response.values(names[0]))
        if request.count(names[1]) and not any(challenge.stale for challenge in challenges):
            return None
        try:
            cnonce = secrets.token_hex(16)
            return names[1], answer(challenges, self.user, self.password, request.method, request.uri, cnonce, 1)
        except RemoteError:
            return None

    def _ours(self, values: list[str]) -> list[DigestChallenge]:
        """Return the challenges of our realm: another realm must not get a hash of our password."""
        found = [parse_challenge(value) for value in values if is_digest(value)]
        return [challenge for challenge in found if challenge.realm == self.realm]
