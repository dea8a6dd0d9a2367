"""The ways into the portal of a topology."""

from __future__ import annotations

from server.portal.topologies import topology
from sipmesh.topology.portal_ways import LINK, ways_of


def test_ways_are_those_of_the_topology() -> None:
    with_provider = topology()
    assert ways_of(with_provider) == (with_provider.oauth,)
    assert ways_of(topology(portal=None)) == ()
    pages = with_provider.invitations
    assert pages is not None
    realm = {"realm": "CORP.TEST", "keytab": "k", "domain": "example.test"}
    portal = {"listen": pages.listen, "portal": {"links": True, "kerberos": realm}}
    whole = type(with_provider).model_validate({**with_provider.model_dump(exclude_none=True), "invitations": portal})
    _, kerberos, link = ways_of(whole)
    assert (getattr(kerberos, "realm", ""), link) == ("CORP.TEST", LINK)


def test_portal_is_on_the_port_of_invitations() -> None:
    assert ways_of(topology().model_copy(update={"invitations": None})) == ()
