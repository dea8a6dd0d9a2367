"""The ways into the portal that a topology has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.oauth import OAuth
    from sipmesh.topology.document.parts.portal import PortalRealm

LINK: Final = "link"
"""The way of a user with a link of an operator."""

Way: TypeAlias = "OAuth | PortalRealm | str"
"""The OpenID provider, the Kerberos realm, or `LINK`."""


def ways_of(topology: Topology) -> tuple[Way, ...]:
    """Return each way into the portal, none if there is no portal."""
    pages, oauth, found = topology.invitations, topology.oauth, list[Way]()
    if pages is None:
        return ()
    if oauth is not None and oauth.portal is not None:
        found.append(oauth)
    if pages.portal is not None and pages.portal.kerberos is not None:
        found.append(pages.portal.kerberos)
    if pages.portal is not None and pages.portal.links:
        found.append(LINK)
    return tuple(found)
