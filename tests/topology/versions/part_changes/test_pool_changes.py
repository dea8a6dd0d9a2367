"""Changes of pools and servers, and of the home pool that follows from their order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipmesh.topology.versions.difference import difference
from topology.changed_text import back, loaded, told
from topology.world import Place


def test_sites_of_pools_and_servers_have_words(place: Place) -> None:
    assert told(
        place,
        ("# ours", "\nsites: [berlin, paris]"),
        ("servers: [fe3.example.test]", "site: paris\n    servers: [{name: fe3.example.test, site: berlin}]"),
    ) == [
        "site berlin is added",
        "site paris is added",
        "fe3.example.test's site changes from that of its pool to berlin",
        "pool pool2.example.test's site changes from none to paris",
    ]


def test_backup_pool_has_words(place: Place) -> None:
    pair = "name: pool2.example.test\n    backup_pool: pool1.example.test"
    alone = ("name: pool2.example.test", pair)
    assert told(place, alone) == [
        (
            "pool pool2.example.test's users are served by pool1.example.test while its servers do not answer, and "
            "pool1.example.test gets their password hashes"
        )
    ]
    assert told(place, ("name: pool2.example.test", "name: pool2.example.test\n    takeover_after: 30")) == [
        "pool pool2.example.test's seconds before its backup pool takes over changes from 60 to 30"
    ]


def test_a_pool_that_comes_or_goes_is_reported_with_its_servers(place: Place) -> None:
    change = ("  - name: pool2.example.test\n    role: front-end\n    servers: [fe3.example.test]\n", "")
    assert told(place, change) == [
        "pool pool2.example.test is removed (front-end)",
        "server fe3.example.test is removed from pool2.example.test",
    ]
    assert back(place, change) == [
        "pool pool2.example.test is added (front-end)",
        "server fe3.example.test is added to pool2.example.test",
    ]
    assert "pool bot.example.test is added (application, next hop pool1.example.test, speaks for example.test)" in back(
        place, ("name: bot.example.test\n    role", "name: bots.example.test\n    role")
    )


def test_a_server_that_moves_is_no_server_that_leaves(place: Place) -> None:
    change = (
        ("      - {name: fe2.example.test, address: 127.0.0.2}\n", ""),
        (
            "servers: [fe3.example.test]",
            "servers: [fe3.example.test, {name: fe2.example.test, address: 127.0.0.9, machine: fe3.example.test}]",
        ),
    )
    assert told(place, *change)[:2] == [
        "server fe2.example.test moves from pool1.example.test to pool2.example.test",
        "fe2.example.test's address changes from 127.0.0.2 to 127.0.0.9",
    ]


def test_next_hop_and_route_are_written_as_ways(place: Place) -> None:
    edge = "internal_name: edge-int.example.test\n    next_hop: pool1"
    assert told(place, (edge, edge.replace("pool1", "pool2"))) == [
        "pool sip.example.test sends requests to pool2.example.test instead of pool1.example.test"
    ]
    more = "  - {name: sip2.example.test, role: edge, servers: [e2.example.test], next_hop: pool1.example.test}\nfederation:\n"
    assert "partners are reached through sip2.example.test instead of sip.example.test" in told(
        place, ("federation:\n", more), ("route: sip.", "route: sip2.")
    )


def test_first_front_end_pool_is_home_by_default_and_so_its_order_means_something(place: Place) -> None:
    before = loaded(place)
    pools = before.topology.pools
    turned = before.topology.model_copy(update={"pools": (pools[1], pools[0], *pools[2:])})
    assert difference(before, replace(before, topology=turned)) == [
        "the order of the pools changes to pool2.example.test, pool1.example.test, sip.example.test, bot.example.test",
        "users without an explicit home pool have the home pool pool2.example.test instead of pool1.example.test",
    ]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "role: application",
            "role: application\n    site: berlin",
            "pool bot.example.test's site changes from none to berlin",
        ),
        ("client: 5061", "client: 5071", "fe1.example.test's client port changes from 5061 to 5071"),
        (
            "internal_name: edge-int.example.test",
            "internal_name: edge-int.example.test\n    remote_users: true",
            "pool sip.example.test has a client port for remote users",
        ),
    ],
)
def test_key_of_a_pool_or_a_server_has_words(place: Place, old: str, new: str, line: str) -> None:
    assert line in told(place, ("# ours", "\nsites: [berlin]"), (old, new))


def test_outside_of_an_edge_is_written_key_by_key(place: Place) -> None:
    edge = "servers: [edge1.example.test]"
    first, second = (f"servers: [{{name: edge1.example.test, outside: {{bind: 192.0.2.{n}}}}}]" for n in (1, 2))
    assert list(difference(loaded(place, (edge, first)), loaded(place, (edge, second)))) == [
        "the outside of edge1.example.test's address to listen on changes from 192.0.2.1 to 192.0.2.2"
    ]


def test_pool_without_a_backup_pool_any_more_is_reported(place: Place) -> None:
    assert back(
        place, ("name: pool2.example.test", "name: pool2.example.test\n    backup_pool: pool1.example.test")
    ) == ["pool pool2.example.test's users are served by no other pool any more while its servers do not answer"]
