"""Pools, servers, domains and sites are added; what the draft tells is derived, and comments stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.additions import (
    MOST_SERVERS,
    NewPool,
    NewServer,
    add_domain,
    add_pool,
    add_server,
    add_site,
)
from sipmesh.topology.builder.outline import Kind, Outline
from sipmesh.topology.builder.renaming import rename
from sipmesh.trust.role import Role
from topology.world import TOPOLOGY

FILE = Path("topology.yaml")
ONE_POOL = """\
sipmesh: 1
sip_domains: [example.test]
pools:
  # the first
  - name: pool1.example.test
    role: front-end
    servers: [fe1.example.test]
# the end
"""


def last_pool(text: str) -> object:
    return Outline(text, FILE).plain(("pools", len(Outline(text, FILE).pools) - 1))


def comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if "#" in line]


def test_front_end_pool_needs_its_role_only() -> None:
    after = add_pool(TOPOLOGY, NewPool(Role.FRONT_END), FILE)
    assert last_pool(after) == {"name": "pool3.example.test", "role": "front-end", "servers": ("fe4.example.test",)}
    assert comments(after) == comments(TOPOLOGY)


def test_first_edge_pool_is_the_route_to_partners() -> None:
    after = add_pool(
        ONE_POOL, NewPool(Role.EDGE, servers=[NewServer(address="192.0.2.1", outside="198.51.100.1")]), FILE
    )
    server = {"name": "edge1.example.test", "address": "192.0.2.1", "outside": {"address": "198.51.100.1"}}
    assert last_pool(after) == {
        "name": "sip.example.test",
        "role": "edge",
        "servers": (server,),
        "internal_name": "edge-int.example.test",
        "next_hop": "pool1.example.test",
    }
    assert after.endswith("# the end\nfederation:\n  route: sip.example.test\n")
    second = add_pool(after, NewPool(Role.EDGE), FILE)
    assert "internal_name: edge-int2.example.test" in second
    assert second.count("route:") == 1


def test_application_has_the_name_of_its_pool() -> None:
    after = add_pool(ONE_POOL, NewPool(Role.APPLICATION, "bot", speaks_for=["Example.test"]), FILE)
    assert last_pool(after) == {
        "name": "bot.example.test",
        "role": "application",
        "servers": ("bot.example.test",),
        "next_hop": "pool1.example.test",
        "speaks_for": ("example.test",),
    }


def test_next_hop_is_asked_only_where_there_is_a_choice() -> None:
    with pytest.raises(OperatorError, match=r"choose one as its next hop: pool1\.example\.test, pool2\.example\.test"):
        add_pool(TOPOLOGY, NewPool(Role.EDGE), FILE)
    assert "next_hop: pool2.example.test" in add_pool(TOPOLOGY, NewPool(Role.EDGE, next_hop="pool2"), FILE)
    with pytest.raises(OperatorError, match="sipmesh topology add pool --role front-end"):
        add_pool("sip_domains: [a.test]\n", NewPool(Role.EDGE), FILE)


def test_next_hop_is_the_front_end_pool_of_the_site() -> None:
    at_site = TOPOLOGY.replace("servers: [fe3.example.test]", "site: berlin\n    servers: [fe3.example.test]")
    after = add_pool(at_site, NewPool(Role.EDGE, site="Berlin"), FILE)
    assert "    site: berlin\n    servers: [edge2.example.test]\n    internal_name: edge-int2.example.test\n" in after
    assert after.count("next_hop: pool2.example.test") == 1


def test_servers_of_one_machine_get_free_ports() -> None:
    servers = [NewServer(address="127.0.0.1"), NewServer("x", address="127.0.0.1")]
    after = add_pool(TOPOLOGY, NewPool(Role.FRONT_END, servers=servers), FILE)
    assert [server.value.get("ports") for server in Outline(after, FILE).servers[-2:]] == [
        {"client": 5063, "server": 5064},
        {"client": 5065, "server": 5066},
    ]


def test_server_goes_to_the_pool_whose_servers_are_called_alike() -> None:
    after = add_server(TOPOLOGY, NewServer("edge2", address="192.0.2.9"), FILE)
    assert "servers: [edge1.example.test, {name: edge2.example.test, address: 192.0.2.9}]" in after
    assert "servers: [fe3.example.test, fe4.example.test]" in add_server(TOPOLOGY, NewServer(pool="pool2"), FILE)
    with pytest.raises(OperatorError, match="could belong; choose one of"):
        add_server(TOPOLOGY, NewServer("fe9"), FILE)


def test_server_of_a_pool_on_the_loopback_address_is_there_too() -> None:
    local = ONE_POOL.replace("[fe1.example.test]", "[{name: fe1.example.test, address: 127.0.0.1}]")
    server = "{name: fe2.example.test, address: 127.0.0.1, ports: {client: 5063, server: 5064}}"
    assert server in add_server(local, NewServer(), FILE)
    elsewhere = local.replace("127.0.0.1", "192.0.2.1")
    assert "{name: fe1.example.test, address: 192.0.2.1}, fe2.example.test]" in add_server(elsewhere, NewServer(), FILE)


def test_only_pool_gets_the_server() -> None:
    assert "servers: [fe1.example.test, fe2.example.test]" in add_server(ONE_POOL, NewServer(), FILE)


def test_domains_and_sites_are_added_once() -> None:
    after = add_domain(TOPOLOGY, "Example.net", FILE)
    assert "sip_domains: [example.test, example.net]  # ours\n" in after
    with pytest.raises(OperatorError, match="already"):
        add_domain(after, "example.NET", FILE)
    assert add_site(add_site(TOPOLOGY, "berlin", FILE), "Paris", FILE).endswith("sites: [berlin, paris]\n")


@pytest.mark.parametrize(("count", "refused"), [(MOST_SERVERS, False), (MOST_SERVERS + 1, True)])
def test_one_command_adds_so_many_servers(count: int, *, refused: bool) -> None:
    new = NewPool(Role.FRONT_END, servers=[NewServer()] * count)
    if refused:
        with pytest.raises(OperatorError, match="at most"):
            add_pool(ONE_POOL, new, FILE)
    else:
        assert len(Outline(add_pool(ONE_POOL, new, FILE), FILE).servers) == count + 1


def test_second_server_needs_a_pool_with_another_name_than_its_first() -> None:
    """The command in the error makes room for it."""
    with pytest.raises(
        OperatorError, match=r"rename the pool: sipmesh topology rename bot\.example\.test NEW --kind pool"
    ):
        add_server(TOPOLOGY, NewServer(pool="bot.example.test"), FILE)
    renamed = rename(TOPOLOGY, "bot.example.test", "robots", FILE, Kind.POOL)
    assert "bot.example.test, " in add_server(renamed, NewServer("bot2", pool="robots"), FILE)
