"""Acting as a client: what the answer was, and the exit code that a monitor acts on."""

import signal
from pathlib import Path

import pytest

from cli.world import FE1, FE2, Organisation, end, sipmesh, until


@pytest.mark.wide
def test_register_tells_what_the_server_proved(running: Organisation) -> None:
    told = running.acting("register", "alice", "--json")
    assert (told.code, told.json["status"], told.json["server"]) == (0, 200, "example.com")
    assert told.json["tls"]["version"] == "TLSv1.3"


def test_a_wrong_password_is_reported_with_what_to_do(running: Organisation) -> None:
    told = running.type("register", "--as", "alice@example.com", "--password-stdin", typed="wrong\n")
    assert told.code == 1
    assert "401" in told.out
    assert "sipmesh user password" in told.out


def test_a_user_who_is_not_there_cannot_be_written_to(running: Organisation) -> None:
    told = running.acting("message", "alice", "nobody@example.com", "hello", "--json")
    assert (told.code, told.json["status"]) == (1, 404)


def test_message_and_call_reach_a_user_on_another_server(running: Organisation) -> None:
    """Bob stays registered on fe2 as a command; alice uses fe1."""
    log = running.folder / "bob.log"
    bob = running.spawn(
        "register", "--stay", "--as", "bob@example.com", "--password-stdin", "--server", running.address(FE2), log=log
    )
    assert bob.stdin is not None
    bob.stdin.write(b"bob-secret\n")
    bob.stdin.flush()
    until("Waiting for messages", log)
    assert running.acting("message", "alice", "bob@example.com", "hello [bob] ✓").code == 0
    until("hello [bob] ✓", log)
    called = running.acting("call", "alice", "bob@example.com", "--for", "0", "--json")
    assert (called.code, called.json["status"], called.json["bye"]) == (0, 200, 200)
    assert called.json["path"] == [FE1, FE2]
    assert called.json["answered_by"] == "sip:bob@example.com"
    assert "answered by sip:bob@example.com" in running.acting("call", "alice", "bob@example.com", "--for", "0").out
    until("is over", log)
    bob.send_signal(signal.SIGINT)
    end(bob)
    assert bob.returncode == 0


def test_a_call_to_an_unknown_user_is_refused_before_it_begins(running: Organisation) -> None:
    told = running.acting("call", "alice", "nobody@example.com")
    assert told.code == 1
    assert "404" in told.out


def test_the_first_server_that_can_be_reached_is_taken(running: Organisation) -> None:
    """Without --server the front ends of the topology are tried in turn."""
    assert running.acting("register", "alice").code == 0
    left = running.acting("register", "alice", "--server", "127.0.0.1:1")
    assert left.code == 1
    assert "cannot be reached" in left.err
    assert "start the server" in left.err


def test_a_wrong_server_ends_it_with_the_verdict(running: Organisation, tmp_path: Path) -> None:
    stranger = tmp_path / "p"
    sipmesh("init", "partner.test", "--dir", stranger)
    left = running.acting("register", "alice", "--ca", stranger / "ca" / "root.pem")
    assert left.code == 1
    assert "untrusted-issuer" in left.err
    assert "✗ issuer" in left.err


def test_a_root_may_be_given_instead_of_a_topology(running: Organisation, tmp_path: Path) -> None:
    """A monitoring host has only the root certificate."""
    words = ("register", "--as", "alice@example.com", "--password-stdin", "--server", running.address(FE1))
    given = sipmesh(*words, "--ca", running.root, typed="alice-secret\n", topology=tmp_path / "none.yaml")
    assert given.code == 0
    without = sipmesh(*words, typed="alice-secret\n", topology=tmp_path / "none.yaml")
    assert without.code == 1
    assert "add --ca FILE" in without.err


@pytest.mark.parametrize("wrong", ["127.0.0.1:http", "127.0.0.1:0"])
def test_a_server_is_given_as_host_and_port(running: Organisation, wrong: str) -> None:
    left = running.acting("register", "alice", "--server", wrong)
    assert left.code == 1
    assert "is not a port" in left.err


@pytest.mark.wide
def test_stay_registers_again_when_its_server_comes_back_and_ends_when_the_password_changes(
    organisation: Organisation,
) -> None:
    """It runs unattended: its output is what a monitor reads."""
    organisation.add_user("bob")
    organisation.serve(FE1)
    log = organisation.folder / "bob.log"
    bob = organisation.spawn("register", "--stay", "--as", "bob@example.com", "--password-stdin", log=log)
    assert bob.stdin is not None
    bob.stdin.write(b"bob-secret\n")
    bob.stdin.flush()
    until("Registered for 600 s", log)
    server = organisation.servers.pop(FE1)
    server.send_signal(signal.SIGTERM)
    end(server)
    until("NOT registered: the link was closed", log)
    organisation.serve(FE1)
    until("Registered again at 127.0.0.1:", log)
    changed = organisation.type("user", "password", "bob", "--password-stdin", typed="another-one\n")
    assert changed.code == 0, changed.err
    until("Refused, and not tried again: 401", log)
    end(bob)
    assert bob.returncode == 1
