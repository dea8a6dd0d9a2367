"""How a gateway logs in at a trunk by digest, and which of its challenges it answers (RFC 7616, RFC 8760)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.sip.digest import Algorithm, DigestChallenge, is_digest, parse_challenge
from sipmesh.sip.status import Status
from sipmesh.sip.text import shown

if TYPE_CHECKING:
    from sipmesh.sip.message import Response

FIELDS: Final = {
    int(Status.UNAUTHORIZED): ("www-authenticate", "authorization"),
    int(Status.PROXY_AUTHENTICATION_REQUIRED): ("proxy-authenticate", "proxy-authorization"),
}
"""The field of a challenge, and that of its answer, by the status of the response."""


@dataclass(frozen=True, slots=True)
class TrunkLogin:
    """The account of the organisation at a trunk: ``sip:user@domain``, the *realm* of its password, and the only *algorithm*.

    *file* has the password. *registers*: the gateway keeps a registration, for *expires* seconds each time.
    """

    user: str
    domain: str
    realm: str
    file: str
    algorithm: Algorithm = Algorithm.SHA_256
    registers: bool = True
    expires: int = 600

    def challenge_in(self, response: Response) -> DigestChallenge | None:
        """Give the challenge of *response* that may be answered; None if there is none.

        It has the realm and the algorithm of the topology. No other realm, and no weaker algorithm, gets a hash of the password.
        With SHA-256, ``qop`` has to be offered too: all who know SHA-256 know it.
        """
        for found in challenges(response):
            is_strong = "auth" in found.qop or (self.algorithm is Algorithm.MD5 and not found.qop)
            if found.realm == self.realm and found.algorithm is self.algorithm and is_strong:
                return found
        return None

    def flaw_of(self, response: Response) -> str:
        """Say why no challenge of *response* is answered."""
        given = [
            f"realm {shown(one.realm)} with {one.algorithm or 'another algorithm'}" for one in challenges(response)
        ]
        return f"{', '.join(given) or 'no digest'}, in place of realm {self.realm} with {self.algorithm} and qop auth"


def challenges(response: Response) -> list[DigestChallenge]:
    """Give the digest challenges of a 401 or 407 that can be read."""
    found: list[DigestChallenge] = []
    names = FIELDS.get(response.status)
    for value in response.values(names[0]) if names is not None else []:
        try:
            if is_digest(value):
                found.append(parse_challenge(value))
        except RemoteError:
            continue
    return found
