"""The names of an order are those that clients ask for; SIP domains are among them where DNS proves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipmesh.topology.view import view

if TYPE_CHECKING:
    from topology.world import Place

FE3 = "servers: [fe3.example.test]"
EDGE = "servers: [edge1.example.test]"
DNS = ", challenge: dns-01, dns: {server: 192.0.2.53, zone: example.test, key_file: secrets/tsig}"


@pytest.mark.parametrize(
    ("old", "new", "server", "keys", "names", "host"),
    [
        (FE3, "[{name: fe3.example.test, %s}]", "fe3.example.test", "", ("fe3.example.test",), "0.0.0.0"),  # noqa: S104
        (
            FE3,
            "[{name: fe3.example.test, address: 192.0.2.3, %s}]",
            "fe3.example.test",
            DNS,
            ("fe3.example.test", "example.test"),
            "192.0.2.3",
        ),
        (
            EDGE,
            "[{name: edge1.example.test, address: 10.0.0.1, outside: {address: 192.0.2.9}, %s}]\n    remote_users: true",
            "edge1.example.test",
            "",
            ("sip.example.test",),
            "192.0.2.9",
        ),
        (
            FE3,
            "[{name: fe3.example.test, %s}]",
            "fe3.example.test",
            ", bind: 192.0.2.8",
            ("fe3.example.test",),
            "192.0.2.8",
        ),
    ],
)
def test_order_has_the_names_and_the_address_of_clients(
    place: Place, old: str, new: str, server: str, keys: str, names: tuple[str, ...], host: str
) -> None:
    ordered = "servers: " + new % "client_certificates: acme"
    acme = f"acme: {{directory: 'https://ca.test/dir'{keys}}}\nfederation:\n"
    place.spoil((old, ordered), ("federation:\n", acme))
    order = view(place.load(), server).acme_order
    assert order is not None
    assert (order.names, order.host) == (names, host)
    assert order.certificate == place.file.parent / f"servers/{server}.acme.pem"
    assert view(place.load(), "fe1.example.test").acme_order is None
