"""Who owns a realm: who may challenge in it, and who may see credentials for it (RFC 3261 section 22, RFC 7616).

A challenge is as good as the link that it was made on. Somebody who hands on a challenge of ours as its own gets an answer
that proves our user. So nobody but the server that holds the user's link challenges in a realm of ours, and no answer to such
a challenge leaves that server. Realms of partners and of applications belong to those in the same way.
"""

from __future__ import annotations

from sipmesh.errors import RemoteError
from sipmesh.sip.digest import parse_challenge, realm_of_credentials
from sipmesh.sip.message import Response
from sipmesh.sip.rows import Row
from sipmesh.sip.text import LWS, ascii_lower

CHALLENGES = frozenset({"www-authenticate", "proxy-authenticate"})
CREDENTIALS = frozenset({"authorization", "proxy-authorization"})
UNAUTHORIZED = frozenset({401, 407})
NOBODY: frozenset[str] = frozenset()


class Realms:
    """The owners of realms in one topology: *ours* are our SIP domains, *of_partners* those of all partners."""

    __slots__ = ("_of_partners", "_ours")

    def __init__(self, ours: frozenset[str], of_partners: frozenset[str]) -> None:
        self._ours, self._of_partners = ours, of_partners

    def __repr__(self) -> str:
        return f"<Realms {len(self._ours)} of ours, {len(self._of_partners)} of partners>"

    def belongs_to(self, realm: str, domains: frozenset[str]) -> bool:
        """Tell whether a peer that speaks for *domains* may use *realm*: it is its own, or nobody's that we know."""
        name = ascii_lower(realm.strip(LWS)).removesuffix(".")
        if name in self._ours:
            return False
        return name in domains or name not in self._of_partners

    def challenge_passes(self, row: Row, domains: frozenset[str]) -> bool:
        """Tell whether a challenge may go on from a peer that speaks for *domains*.

        It has to be a single Digest challenge that can be read: a phone may find another one in what we cannot read. No
        other scheme passes, since Basic would have the password itself.
        """
        try:
            return self.belongs_to(parse_challenge(row.value).realm, domains)
        except RemoteError:
            return False

    def credentials_pass(self, row: Row, domains: frozenset[str]) -> bool:
        """Tell whether credentials may go to a peer that speaks for *domains*; Digest alone, and only what can be read."""
        try:
            return self.belongs_to(realm_of_credentials(row.value), domains)
        except RemoteError:
            return False


def lacks_challenge(response: Response) -> bool:
    """Tell whether a response asks for credentials and does not say for which realm."""
    return response.status in UNAUTHORIZED and not (
        response.has("www-authenticate") or response.has("proxy-authenticate")
    )
