"""What commands do to servers that run."""

import socket
import time
from pathlib import Path

import pytest

from cli.world import FE1, FE2, MGMT, Organisation, end, until
from sipmesh.cli.control_client import ask_all
from sipmesh.cli.place import Place
from sipmesh.server.admin.replies import STATUS


@pytest.fixture(name="network")
def _network(organisation: Organisation) -> Organisation:
    """Two front ends that run, and a test may do to them what it likes."""
    text = organisation.file.read_text().replace("      #- {name: fe2", "      - {name: fe2")
    organisation.file.write_text(text)
    assert organisation.type("ca", "issue", FE2).code == 0
    organisation.publish("a second front end")
    for user in ("alice", "bob"):
        organisation.add_user(user)
    organisation.serve(FE1, FE2)
    return organisation


def linked(network: Organisation) -> list[str]:
    """Make fe1 open a link to fe2, and give the ids of fe1's live links."""
    network.type("explain", network.address(FE2, "server"), "--as", FE1)
    log = network.folder / "bob.log"
    bob = network.spawn(
        "register", "--stay", "--as", "bob@example.com", "--password-stdin", "--server", network.address(FE2), log=log
    )
    assert bob.stdin is not None
    bob.stdin.write(b"bob-secret\n")
    bob.stdin.flush()
    until("Waiting for messages", log)
    network.servers["bob"] = bob
    sent = network.acting("message", "alice", "--server", network.address(FE1), "bob@example.com", "hello")
    assert sent.code == 0, sent.out + sent.err
    until("hello", log)
    return [link["id"] for link in network.type("links", "--json").json if link["server"] == FE1]


def hang_up(network: Organisation) -> None:
    bob = network.servers.pop("bob")
    bob.terminate()
    end(bob)


@pytest.mark.wide
def test_a_revocation_closes_the_links_of_the_certificate_and_names_them(network: Organisation) -> None:
    held = linked(network)
    (link, *_) = (
        one["id"] for one in network.type("links", "--json").json if (one["server"], one["peer"]) == (FE1, FE2)
    )
    explained = network.type("explain", link, "--server", FE1)
    assert explained.code == 0
    assert f"accepted: {FE2}" in explained.out
    revoked = network.type("ca", "revoke", FE2, "--reason", "key-compromise")
    assert revoked.code == 0
    assert f"In force on {FE1}, {FE2}, {MGMT}." in revoked.out
    assert "went down" in revoked.out
    left = [link for link in network.type("links", "--json").json if link["peer"] == FE2]
    assert not {link["id"] for link in left if link["server"] == FE1} & set(held)
    assert network.type("explain", network.address(FE2, "server"), "--as", FE1).code == 1
    assert network.type("ca", "issue", FE2).code == 0
    assert network.type("explain", network.address(FE2, "server"), "--as", FE1).code == 0
    hang_up(network)


@pytest.mark.wide
def test_a_changed_password_closes_the_users_links(network: Organisation) -> None:
    linked(network)
    changed = network.type("user", "password", "bob", "--password-stdin", typed="another-one\n")
    assert "has a new password" in changed.out
    until("the link was closed", network.folder / "bob.log")
    hang_up(network)


@pytest.mark.wide
def test_a_server_that_cannot_take_a_change_over_is_named_by_the_command(network: Organisation) -> None:
    chain = network.folder / "servers" / f"{FE1}.pem"
    good = chain.read_bytes()
    chain.write_bytes(b"nothing")
    told = network.type("ca", "issue", FE2)
    assert f"NOT in force on {FE1}" in told.out
    assert (
        f"In force on {FE1}, {FE2}, {MGMT}." in told.out
    )  # all but its own certificate, of which the line before tells
    chain.write_bytes(good)
    assert f"In force on {FE1}, {FE2}, {MGMT}." in network.type("ca", "issue", FE2).out


@pytest.mark.wide
def test_crls_come_into_force_while_the_topology_has_errors(network: Organisation) -> None:
    """A revocation does not wait for an operator to mend a typo in the draft."""
    good = network.file.read_text()
    network.file.write_text(good.replace("role: front-end", "role: frontend"))
    assert network.type("topology", "check").code == 1
    assert f"In force on {FE1}, {FE2}, {MGMT}." in network.type("ca", "crl").out
    network.file.write_text(good)


@pytest.mark.wide
def test_the_socket_of_a_killed_server_answers_for_no_server(network: Organisation) -> None:
    killed = network.servers.pop(FE2)
    killed.kill()
    end(killed)
    assert (network.folder / "state" / f"{FE2}.sock").exists()
    assert [answer.server for answer in ask_all(Place(network.file), STATUS)] == [FE1, MGMT]


def test_a_server_that_does_not_answer_is_reported_as_a_fault(tmp_path: Path) -> None:
    """A socket that accepts and hangs up."""
    state = tmp_path / "state"
    state.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(state / "x.example.com.sock"))
        listening.listen()
        listening.settimeout(0)
        began = time.monotonic()
        (answer,) = ask_all(Place(tmp_path / "topology.yaml"), STATUS, 0.2)
    assert answer.server == "x.example.com"
    assert "does not answer" in answer.fault
    assert time.monotonic() - began < 5


def test_without_a_server_that_runs_links_say_how_to_start_one(organisation: Organisation) -> None:
    left = organisation.type("links")
    assert left.code == 1
    assert "sipmesh serve" in left.err
