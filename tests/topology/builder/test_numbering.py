"""Names and ports that a new server gets without being asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.numbering import Numbering, full_name, own_domain, role_of, stem_of
from sipmesh.topology.builder.outline import Outline
from sipmesh.trust.role import Role
from topology.world import TOPOLOGY

FILE = Path("topology.yaml")


def numbering(text: str = TOPOLOGY) -> Numbering:
    return Numbering(Outline(text, FILE))


def test_next_name_has_the_next_number() -> None:
    names = numbering()
    assert [names.next_name("fe", "example.test") for _ in range(2)] == ["fe4.example.test", "fe5.example.test"]
    assert names.next_name("fe", "other.test") == "fe1.other.test"
    assert names.next_name("sip", "example.test") == "sip2.example.test"
    assert names.next_name("mgmt", "example.test") == "mgmt.example.test"


def test_short_name_is_completed() -> None:
    assert full_name("FE9", "example.test") == "fe9.example.test"
    assert full_name("fe9.other.test", "example.test") == "fe9.other.test"
    assert [stem_of(name) for name in ("fe3.x.test", "edge-1.x.test", "7.x.test")] == ["fe", "edge", ""]


def test_domain_of_new_names_is_that_of_the_first_pool() -> None:
    assert own_domain(Outline(TOPOLOGY, FILE)) == "example.test"
    assert own_domain(Outline("sip_domains: [a.test]\n", FILE)) == "a.test"
    with pytest.raises(OperatorError, match="no SIP domain"):
        own_domain(Outline("x: 1\n", FILE))


def test_ports_are_free_beside_servers_at_the_same_address() -> None:
    names = numbering()
    assert names.free_ports(Role.FRONT_END, "127.0.0.1") == {"client": 5063, "server": 5064}
    assert names.free_ports(Role.EDGE, "127.0.0.1") == {"server": 5065, "partner": 5066}
    assert names.free_ports(Role.EDGE, "127.0.0.9") == {}
    assert names.free_ports(Role.FRONT_END, "") == {}


def test_websocket_port_is_taken_where_the_network_has_it() -> None:
    assert "websocket" not in numbering().free_ports(Role.FRONT_END, "127.0.0.1")
    assert numbering(TOPOLOGY + "websocket: {}\n").free_ports(Role.FRONT_END, "127.0.0.1")["websocket"] == 8444


def test_unknown_role_is_none() -> None:
    pools = Outline("pools: [{name: a.test, role: boss, servers: [{name: b.test, address: 127.0.0.1}]}]\n", FILE).pools
    assert role_of(pools[0]) is None
