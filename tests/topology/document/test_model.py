"""The whole document, and how its parts are found."""

from __future__ import annotations

from sipmesh.topology.document.model import Topology

AUTHORITY = {"anchors": ["root.pem"], "crls": ["root.crl"]}
POOL = {"name": "p.a.test", "role": "front-end", "servers": ["s.a.test"]}


def test_a_topology_without_federation_allows_nobody() -> None:
    given = {"sipmesh": 1, "organisation": "A", "sip_domains": ["a.test"], "authority": AUTHORITY, "pools": [POOL]}
    topology = Topology.model_validate(given)
    assert topology.federation.partners == ()
    assert topology.federation.discovery == "off"
    assert topology.pool_of("s.a.test") is topology.pool("p.a.test") is topology.pools[0]
    assert topology.pool_of("x.a.test") is topology.pool(None) is None
