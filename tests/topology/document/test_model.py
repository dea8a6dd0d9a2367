"""The whole document, and how its parts are found."""

from __future__ import annotations

from sipmesh.topology.document.model import Topology

AUTHORITY = {"anchors": ["root.pem"], "crls": ["root.crl"]}
POOL = {"name": "p.a.test", "role": "front-end", "servers": ["s.a.test"]}


def test_a_topology_without_federation_allows_no_partner() -> None:
    given = {"sipmesh": 1, "organisation": "A", "sip_domains": ["a.test"], "authority": AUTHORITY, "pools": [POOL]}
    topology = Topology.model_validate(given)
    assert topology.federation.partners == ()
    assert topology.federation.discovery == "off"
    assert topology.pool_of("s.a.test") is topology.pool("p.a.test") is topology.pools[0]
    assert topology.pool_of("x.a.test") is topology.pool(None) is None


def test_store_of_a_pool_replaces_the_general_one_as_a_whole() -> None:
    """Neither the login of the general store nor its certificates are used at the store of the pool."""
    own = {**POOL, "name": "q.a.test", "servers": ["t.a.test"], "storage": {"bindings": "valkey://127.0.0.1"}}
    general = {"bindings": "valkeys://a.test", "valkey": {"user": "all", "password_file": "all", "anchors": ["ca.pem"]}}
    given = {"sipmesh": 1, "organisation": "A", "sip_domains": ["a.test"], "authority": AUTHORITY}
    topology = Topology.model_validate({**given, "pools": [POOL, own], "storage": general})
    one, other = (topology.storage_of(pool) for pool in topology.pools)
    assert one.model_dump(exclude_defaults=True) == {**general, "valkey": {**general["valkey"], "anchors": ("ca.pem",)}}  # type: ignore[dict-item]
    assert other.model_dump(exclude_defaults=True) == {"bindings": "valkey://127.0.0.1"}
