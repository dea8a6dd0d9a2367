"""A server by its name, and its defaults."""

from __future__ import annotations

import pytest

from sipmesh.topology.document.parts.server import Server


def test_a_server_is_its_name_and_defaults() -> None:
    server = Server(name="s.a.test")
    assert (server.certificate_file, server.key_file) == ("servers/s.a.test.pem", "servers/s.a.test.key")
    assert server.server_port == 5062


def test_signer_files_are_named_by_the_server() -> None:
    server = Server(name="s.a.test", certificate="/etc/own.pem", key="/etc/own.key")
    assert server.signer_certificate_file == "servers/s.a.test.signer.pem"
    assert server.signer_key_file == "servers/s.a.test.signer.key"


@pytest.mark.parametrize(
    ("given", "machine"),
    [
        ({}, "s.a.test"),
        ({"bind": "0.0.0.0"}, "s.a.test"),  # noqa: S104 - every address
        ({"address": "192.0.2.1"}, "192.0.2.1"),
        ({"bind": "127.0.0.7"}, "loopback"),
        ({"address": "192.0.2.1", "machine": "rack-7"}, "rack-7"),
    ],
)
def test_machine_is_declared_or_derived_from_the_address(given: dict[str, str], machine: str) -> None:
    assert Server.model_validate({"name": "s.a.test", **given}).runs_on == machine
