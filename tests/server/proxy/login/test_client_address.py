"""What servers tell each other of the address of a client that they carry."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.login.client_address import client_address, received_parameter

EDGE, FE = "edge1.example.test", "fe1.example.test"


def path(parameter: str) -> str:
    return f"<sip:token@{EDGE}:5062;transport=tls;lr;ob{parameter}>"


@pytest.mark.parametrize(
    ("remote", "seen"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_each_server_on_the_way_is_named_behind_the_network_of_the_client(remote: str, seen: str) -> None:
    first = client_address(path(received_parameter(remote)), EDGE)
    assert first == f"{seen} by {EDGE}"
    assert client_address(path(received_parameter(first)), FE) == f"{seen} by {EDGE} by {FE}"


@pytest.mark.parametrize("parameter", ["", ";received", ";received=", ";received=%00", f";received={'1' * 201}"])
def test_path_without_an_address_names_its_server(parameter: str) -> None:
    assert client_address(path(parameter), EDGE) == f"a client by {EDGE}"


@pytest.mark.parametrize("remote", ["", "evil;lr", "a>b", "x" * 201])
def test_address_that_does_not_fit_into_a_path_is_left_out(remote: str) -> None:
    assert received_parameter(remote) == ""
