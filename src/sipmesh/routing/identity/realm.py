"""The owners of realms: who may send a challenge, and who may see credentials (RFC 3261 section 22, RFC 7616).

A peer that forwards our challenge as its own would receive credentials that prove our user. So only the server that has the
user's link may send a challenge for one of our realms. Credentials for that realm never leave that server. The realms of
partners and applications belong to them in the same way. A partner has the realms of its domains, and no other.
"""

from __future__ import annotations

from sipmesh.errors import RemoteError
from sipmesh.sip.digest import parse_challenge, realm_of_credentials
from sipmesh.sip.message import Response
from sipmesh.sip.rows import Row
from sipmesh.sip.status import Status
from sipmesh.sip.text import LWS, ascii_lower

CHALLENGES = frozenset({"www-authenticate", "proxy-authenticate"})
CREDENTIALS = frozenset({"authorization", "proxy-authorization"})
CHALLENGED = frozenset({Status.UNAUTHORIZED, Status.PROXY_AUTHENTICATION_REQUIRED})
NOBODY: frozenset[str] = frozenset()


class Realms:
    """The owners of realms in one topology: *ours* are our SIP domains, *of_partners* the domains of all partners."""

    __slots__ = ("_of_partners", "_ours")

    def __init__(self, ours: frozenset[str], of_partners: frozenset[str]) -> None:
        self._ours, self._of_partners = ours, of_partners

    def belongs_to(self, realm: str, domains: frozenset[str], *, is_outside: bool = False) -> bool:
        """Tell whether a peer that speaks for *domains* may use *realm*: its own, or one with no known owner.

        A peer outside, a partner, may use its own only: many phones answer in any realm, with the password that they have.
        """
        name = ascii_lower(realm.strip(LWS)).removesuffix(".")
        if name in self._ours:
            return False
        return name in domains or not (is_outside or name in self._of_partners)

    def challenge_passes(self, row: Row, domains: frozenset[str], *, is_outside: bool = False) -> bool:
        """Tell whether a challenge from a peer that speaks for *domains* is forwarded (`belongs_to`).

        It must be one Digest challenge that we can parse: a phone may find another challenge in malformed text. Other schemes
        are not forwarded, because Basic would reveal the password.
        """
        try:
            return self.belongs_to(parse_challenge(row.value).realm, domains, is_outside=is_outside)
        except RemoteError:
            return False

    def credentials_pass(self, row: Row, domains: frozenset[str], *, is_outside: bool = False) -> bool:
        """Tell whether well-formed Digest credentials may go to a peer that speaks for *domains*. No other scheme may."""
        try:
            return self.belongs_to(realm_of_credentials(row.value), domains, is_outside=is_outside)
        except RemoteError:
            return False


def lacks_challenge(response: Response) -> bool:
    """Tell whether a 401 or 407 has no challenge."""
    return response.status in CHALLENGED and not (
        response.has("www-authenticate") or response.has("proxy-authenticate")
    )
