"""Documents without a contradiction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topology.contradictions import FE3

if TYPE_CHECKING:
    from topology.world import Place


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (FE3, "servers: [pool2.example.test]"),  # a single server may bear its pool's name
        ("edge-int.example.test", "sip.example.test"),
        ("address: 127.0.0.2", "address: 127.0.0.1, ports: {client: 5063, server: 5064}"),
        ("address: 127.0.0.2", "bind: 0.0.0.0, machine: loopback"),
        ("[other.test, second.test]", "[other.test, third.test]"),
        ("[evil.test]", "[evil.test, worse.test]"),
        ("edge: sip.partner.test", "edge: partner.test"),
        ("speaks_for: [example.test]", "speaks_for: []"),
        ("servers: [edge1.example.test]", "servers: [{name: edge1.example.test, ports: {partner: 5070}}]"),
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, outside: {bind: 192.0.2.1, certificate: servers/e.pem, key: servers/e.key}}]",
        ),
        (FE3, "servers: [{name: fe3.example.test, certificate: servers/fe3.pem, key: servers/fe3.key}]"),
    ],
)
def test_corrected_document_is_accepted(place: Place, old: str, new: str) -> None:
    place.spoil((old, new))
    assert place.load()


def test_a_network_of_one_pool_with_one_server_of_the_same_name_is_a_network(place: Place) -> None:
    """The bench: one front end, an application, and another that speaks for the domain."""
    place.file.write_text(
        """\
sipmesh: 1
organisation: Bench
sip_domains: [a.test]
authority: {anchors: [ca/root.pem], crls: [ca/root.crl, ca/issuing.crl]}
pools:
  - name: p1.a.test
    role: front-end
    servers:
      - {name: p1.a.test, bind: 127.0.77.1, ports: {client: 5061, server: 5071}, certificate: servers/p1.pem, key: servers/p1.key}
  - name: sink.b.test
    role: application
    servers: [{name: sink.b.test, address: 127.0.77.2, ports: {server: 5081}}]
    next_hop: p1.a.test
  - {name: peer.b.test, role: application, servers: [peer.b.test], next_hop: p1.a.test, speaks_for: [a.test]}
"""
    )
    assert place.load()
