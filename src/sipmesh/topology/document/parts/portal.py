"""How users sign in to the portal beside the OpenID provider: by tickets of a Kerberos realm, or by links of operators."""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field, StrictBool

from sipmesh.topology.document.names import Fqdn, SecretFile
from sipmesh.topology.document.operators.kerberos import Realm
from sipmesh.topology.document.parts.part import Part

_PERSON: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""The name of a person in a realm; a name with a slash is a service, and a name with ``$`` is a machine."""


class PortalRealm(Part):
    """The realm whose tickets sign users in: NAME@REALM is the user NAME@DOMAIN."""

    realm: Realm = Field(description="the realm, in capitals; tickets of persons of other realms are refused")
    keytab: SecretFile = Field(description="keytab of the service HTTP/NAME of the links of invitations, mode 0600")
    domain: Fqdn = Field(description="SIP domain of the users: NAME@REALM is the user NAME@DOMAIN")

    def user_of(self, principal: str) -> str | None:
        """Return the address of the user who is *principal*, None for a principal that can be no user.

        The user database compares names without regard to case, as Active Directory does.
        """
        name, _, realm = principal.rpartition("@")
        if realm != self.realm or not _PERSON.fullmatch(name):
            return None
        return f"{name}@{self.domain}"


def ways_in_words(entry: PortalEntry) -> str:
    """Return the ways that *entry* has, as a plan and the rules of grants say them."""
    realm = entry.kerberos
    tickets = f"tickets of {realm.realm} with {realm.keytab}, as users of {realm.domain}" if realm is not None else ""
    return " and ".join(filter(None, ("links of operators" if entry.links else "", tickets))) or "no way"


class PortalEntry(Part):
    """The ways into the portal beside `oauth.portal`."""

    links: StrictBool = Field(
        default=False, description="operators make links that sign in one user, once: sipmesh user invite --portal"
    )
    kerberos: PortalRealm | None = Field(
        default=None, description="Kerberos realm by whose tickets users sign in; by default there is none"
    )
