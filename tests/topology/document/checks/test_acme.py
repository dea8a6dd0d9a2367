"""Contradictions: certificates of a public CA, their challenge, and the servers that order them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topology.contradictions import must_report

if TYPE_CHECKING:
    from topology.world import Place

SERVERS = "servers: [fe3.example.test]"
ORDERS = "servers: [{name: fe3.example.test, client_certificates: acme}]"
ACME = "acme: {directory: 'https://ca.test/dir'%s}\nfederation:\n"
DNS = ", dns: {server: 192.0.2.53, zone: %s, key_file: secrets/tsig}"


@pytest.mark.parametrize(
    ("keys", "field", "reason"),
    [
        (", challenge: dns-01", "acme.challenge", "dns-01 needs the server that takes the records"),
        (DNS % "example.test", "acme.dns", "is for dns-01 alone"),
        (f", challenge: dns-01, port: 80{DNS % 'example.test'}", "acme.port", "has no effect with dns-01"),
        (f", challenge: dns-01, bind: 192.0.2.1{DNS % 'example.test'}", "acme.bind", "has no effect with dns-01"),
    ],
)
def test_contradiction_is_reported_at_its_place(place: Place, keys: str, field: str, reason: str) -> None:
    must_report(place, "federation:\n", ACME % keys, field, reason)


def test_directory_needs_tls(place: Place) -> None:
    text = "acme: {directory: 'http://ca.test/dir'}\nfederation:\n"
    must_report(place, "federation:\n", text, "acme.directory", "is no https URL")


def test_server_that_orders_needs_the_ca(place: Place) -> None:
    field = "pools[1].servers[0].client_certificates"
    must_report(place, SERVERS, ORDERS, field, "needs the public CA, and the topology has no `acme`")


@pytest.mark.parametrize(
    ("keys", "field", "reason"),
    [
        (", port: 5061", "pools[1].servers[0].client_certificates", "http-01 needs port 5061"),
        (
            f", challenge: dns-01{DNS % 'acme.test'}",
            "acme.dns.zone",
            "does not hold fe3.example.test, example.test",
        ),
        ("", "", ""),
        (f", challenge: dns-01{DNS % 'example.test'}", "", ""),
        (", challenge: tls-alpn-01", "", ""),
    ],
)
def test_server_can_prove_its_names(place: Place, keys: str, field: str, reason: str) -> None:
    place.spoil((SERVERS, ORDERS), ("federation:\n", ACME % keys))
    told = [(problem.field, problem.reason) for problem in place.problems()] if reason else []
    assert [where for where, why in told if reason in why] == ([field] if field else []), told
    if not reason:
        place.load()


def test_edges_that_share_a_name_prove_it_by_dns(place: Place) -> None:
    edges = (
        "remote_users: true\n    servers: [{name: edge1.example.test, client_certificates: acme}, edge2.example.test]"
    )
    place.spoil(("servers: [edge1.example.test]", edges), ("federation:\n", ACME % ""))
    assert [problem.field for problem in place.problems() if "another edge may answer" in problem.reason] == [
        "pools[2].servers[0].client_certificates"
    ]


def test_management_with_a_console_may_order_and_without_one_it_may_not(place: Place) -> None:
    manager = "  - {name: mgmt.example.test, role: management, servers: [{name: mg1.example.test, client_certificates: acme}]}\n"
    place.spoil(("federation:\n", f"{manager}{ACME % ''}"))
    assert any("neither phones nor browsers" in problem.reason for problem in place.problems())
    place.spoil(("federation:\n", "console: {listen: 8444}\nfederation:\n"))
    place.load()
