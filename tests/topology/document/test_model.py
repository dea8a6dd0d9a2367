"""The model: its defaults, and that nothing of it changes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.model import Partner, Server, Topology
from sipmesh.trust.role import ClientUsage

AUTHORITY = {"anchors": ["root.pem"], "crls": ["root.crl"]}
POOL = {"name": "p.a.test", "role": "front-end", "servers": ["s.a.test"]}


def test_a_server_is_its_name_and_defaults() -> None:
    server = Server(name="s.a.test")
    assert (server.certificate_file, server.key_file) == ("servers/s.a.test.pem", "servers/s.a.test.key")
    assert server.server_port == 5062


def test_signer_files_are_named_by_the_server() -> None:
    server = Server(name="s.a.test", certificate="/etc/own.pem", key="/etc/own.key")
    assert server.signer_certificate_file == "servers/s.a.test.signer.pem"
    assert server.signer_key_file == "servers/s.a.test.signer.key"


def test_a_partner_is_strict_private_and_known_by_domains_and_edge() -> None:
    partner = Partner.model_validate({**AUTHORITY, "domains": ["b.test", "c.test"], "edge": "sip.b.test:5081"})
    assert (partner.client_usage, partner.third_party) == (ClientUsage.STRICT, False)
    assert partner.edge_address == ("sip.b.test", 5081)
    assert partner.identities == ("b.test", "c.test", "sip.b.test")


def test_a_partner_without_an_edge_is_known_by_its_domains() -> None:
    partner = Partner.model_validate({**AUTHORITY, "domains": ["b.test"]})
    assert partner.edge_address is None
    assert partner.identities == ("b.test",)


def test_a_topology_without_federation_allows_nobody() -> None:
    given = {"sipmesh": 1, "organisation": "A", "sip_domains": ["a.test"], "authority": AUTHORITY, "pools": [POOL]}
    topology = Topology.model_validate(given)
    assert topology.federation.partners == ()
    assert topology.federation.discovery == "off"
    assert topology.pool_of("s.a.test") is topology.pool("p.a.test") is topology.pools[0]
    assert topology.pool_of("x.a.test") is topology.pool(None) is None


def test_a_topology_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Server(name="s.a.test").name = "t.a.test"
