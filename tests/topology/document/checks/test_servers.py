"""Contradictions: servers: their ports, certificates and settings fit each other and the role."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topology.contradictions import FE3, POOL2, must_report

if TYPE_CHECKING:
    from topology.world import Place


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        ("address: 127.0.0.2", "address: 127.0.0.1", "pools[0].servers[1]", "port 5061"),
        ("client: 5061, server: 5062", "client: 5061, server: 5061", "pools[0].servers[0].ports.server", "port 5061"),
        ("{client: 5061,", "{websocket: 8443, client: 5061,", "pools[0].servers[0].ports.websocket", "no `websocket`"),
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, client_certificates: [{certificate: p.pem, key: p.key}]}]",
            "pools[2].servers[0].client_certificates",
            "neither phones nor browsers connect to a server of role edge",
        ),
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, client_auth: certificate}]",
            "pools[2].servers[0].client_auth",
            "phones do not connect to a server of role edge",
        ),
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, client_auth: either}]\n    remote_users: true",
            "pools[2].servers[0].client_auth",
            "an edge proves no user",
        ),
        (
            FE3,
            "servers: [{name: fe3.example.test, client_auth: either}]",
            "pools[1].servers[0].client_auth",
            "no CA issues certificates for devices",
        ),
        (POOL2, f"{POOL2}\n    remote_users: true", "pools[1].remote_users", "only an edge pool has `remote_users`"),
        (POOL2, f"{POOL2}\n    speaks_for: [example.test]", "pools[1].speaks_for", "has no `speaks_for`"),
        (
            POOL2,
            f"{POOL2}\n    internal_name: in.example.test",
            "pools[1].internal_name",
            "only an edge or a gateway pool",
        ),
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, ports: {client: 443}}]",
            "pools[2].servers[0].ports.client",
            "role edge has no client port",
        ),
        (
            FE3,
            "servers: [{name: fe3.example.test, outside: {bind: 192.0.2.1}}]",
            "pools[1].servers[0].outside",
            "only an edge or a gateway has `outside`",
        ),
        (
            "servers: [bot.example.test]",
            "servers: [{name: bot.example.test, workers: 2}]",
            "pools[3].servers[0].workers",
            "a server of role application is one process",
        ),
        (
            FE3,
            "servers: [{name: fe3.example.test, certificate: fe3.pem}]",
            "pools[1].servers[0].certificate",
            "needs `key` also",
        ),
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, outside: {key: e.key}}]",
            "pools[2].servers[0].outside.key",
            "needs `certificate` also",
        ),
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, outside: {partners: [{partner: no.test, certificate: p.pem, key: p.key}]}}]",
            "pools[2].servers[0].outside.partners[0].partner",
            "no partner has the domain 'no.test'",
        ),
    ],
)
def test_contradiction_is_reported_at_its_place(place: Place, old: str, new: str, field: str, reason: str) -> None:
    must_report(place, old, new, field, reason)


def test_two_edges_on_one_outside_address_clash(place: Place) -> None:
    servers = "{name: edge%d.example.test, bind: 10.0.0.%d, outside: {bind: 192.0.2.1}}"
    place.spoil(("servers: [edge1.example.test]", f"servers: [{servers % (1, 1)}, {servers % (2, 2)}]"))
    problem = place.problem()
    assert problem.field == "pools[2].servers[1]"
    assert "port 5061 on 192.0.2.1 is taken by pools[2].servers[0]" in problem.reason


def test_a_wildcard_on_a_known_machine_clashes_with_its_neighbour(place: Place) -> None:
    """A server on every address of 127.0.0.1's machine is removed from none for another there."""
    place.spoil(("address: 127.0.0.2", "address: 127.0.0.1, bind: '::', ports: {server: 5099}"))
    assert "port 5061 on :: is taken by" in place.problem().reason


def test_one_machine_cannot_offer_a_port_twice_through_a_wildcard(place: Place) -> None:
    server = "{name: edge1.example.test, bind: 10.0.0.1, ports: {server: 5061}, outside: {bind: 0.0.0.0}}"
    place.spoil(("servers: [edge1.example.test]", f"servers: [{server}]"))
    assert "taken by another port of this server" in place.problem().reason
