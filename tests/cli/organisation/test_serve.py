"""A server that cannot start says why in one sentence; a server that can is in test_quick_start and test_live."""

import signal
import socket

import pytest

from cli.world import FE1, MGMT, Organisation, end
from support.tiers import wide_after


def test_an_unknown_server_names_the_nearest(organisation: Organisation) -> None:
    left = organisation.type("serve", "fe2.example.com")
    assert left.code == 1
    assert f"did you mean '{FE1}'?" in left.err


def test_without_a_certificate_the_command_that_issues_one_is_reported(organisation: Organisation) -> None:
    (organisation.folder / "servers" / f"{FE1}.pem").unlink()
    left = organisation.type("serve", FE1)
    assert left.code == 1
    assert "sipmesh ca issue" in left.err


@pytest.mark.parametrize(
    ("server", "key"),
    wide_after(
        2,
        [
            (FE1, f"servers/{FE1}.key"),
            (MGMT, f"servers/{MGMT}.key"),
            (MGMT, f"servers/{MGMT}.signer.key"),
            (MGMT, "ca/root.key"),
            (MGMT, "ca/issuing.key"),
        ],
    ),
)
def test_a_key_that_others_can_read_is_refused_at_the_start(organisation: Organisation, server: str, key: str) -> None:
    """The server names the file, its mode and the command; with that done it starts."""
    file = organisation.folder / key
    file.chmod(0o644)
    left = organisation.type("serve", server)
    assert (left.code, f"{key}: has mode 0644" in left.err, f"chmod 600 {file}" in left.err) == (1, True, True), (
        left.err
    )
    assert "ca issue" not in left.err
    file.chmod(0o600)
    organisation.serve(*(() if server == MGMT else (server,)))


def test_a_port_that_is_taken_is_named(organisation: Organisation) -> None:
    port = organisation.ports[f"{FE1} client"]
    with socket.create_server(("127.0.0.1", port)):
        left = organisation.type("serve", FE1)
    assert left.code == 1
    assert str(port) in left.err


def test_sigterm_ends_a_server_in_order_and_takes_its_socket_away(organisation: Organisation) -> None:
    organisation.serve(FE1)
    server = organisation.servers.pop(FE1)
    server.send_signal(signal.SIGTERM)
    end(server)
    assert server.returncode == 0
    assert list((organisation.folder / "state").glob("fe1*.sock")) == []
    assert '"event": "stopped"' in (organisation.folder / f"{FE1}.log").read_text()
