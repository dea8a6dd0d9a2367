"""A server on a machine of its own: it joins, gets an answer, and joins again when it must; its key never leaves that machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from cli.world import FE1, FE2, MGMT, Organisation, Result, sipmesh


@pytest.fixture(name="network")
def _network(organisation: Organisation) -> Organisation:
    """Management and fe1 run; fe2 is in the topology, and not on this machine."""
    text = organisation.file.read_text().replace("      #- {name: fe2", "      - {name: fe2")
    organisation.file.write_text(text)
    organisation.publish("a second front end")
    organisation.serve(FE1)
    return organisation


@pytest.fixture(name="other")
def _other(network: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organisation]:
    """The folder of the other machine, which has joined; what runs there is stopped."""
    folder = tmp_path_factory.mktemp("j") / "j"
    folder.mkdir()
    assert joined(network, folder).code == 0
    other = Organisation(folder, ports=network.ports)
    yield other
    other.stop()


def joined(network: Organisation, folder: Path) -> Result:
    """Request on the other machine, grant here, and accept there."""
    made = sipmesh("join", "request", FE2, "--dir", folder)
    assert made.code == 0, made.err
    with chdir(folder):  # a grant is written to the current directory
        granted = network.type("join", "grant", folder / f"{FE2}.csr")
    assert granted.code == 0, granted.err
    return accept(network, folder)


def accept(network: Organisation, folder: Path) -> Result:
    root = x509.load_pem_x509_certificate(network.root.read_bytes()).fingerprint(SHA256()).hex()
    return sipmesh("join", "accept", folder / f"{FE2}.join", "--dir", folder, "--fingerprint", root)


def serial_in(folder: Path) -> str:
    chain = (folder / "servers" / f"{FE2}.pem").read_bytes()
    return f"{x509.load_pem_x509_certificates(chain)[0].serial_number:x}"


def start(other: Organisation) -> None:
    other.servers[FE2] = other.spawn("serve", FE2, log=other.folder / f"{FE2}.log")
    other.wait_for(FE2)


@pytest.mark.wide
def test_commands_go_by_what_a_server_holds_where_there_is_no_draft(network: Organisation, other: Organisation) -> None:
    start(other)
    assert not other.file.exists()
    assert {link["peer"] for link in other.type("links", "--json").json} >= {FE1}
    assert other.type("topology", "show", "--json").json["version"] == 3
    assert other.type("explain", other.address(FE2)).code == 0
    left = other.type("status")
    assert (left.code, f"run this command on the machine of {MGMT}" in left.err) == (1, True)
    told = network.type("topology", "publish", "-m", "no newer list")
    assert told.code == 0, told.out
    assert "In force on 2 servers" in told.out


@pytest.mark.wide
def test_what_management_keeps_is_not_changed_elsewhere(other: Organisation) -> None:
    """A user in a database of this machine could log in nowhere."""
    added = other.type("user", "add", "carol", "--password-stdin", typed="carol-secret\n")
    assert (added.code, "on the management server" in added.err) == (1, True)
    assert not (other.folder / "users.db").exists()
    blocked = other.type("partner", "block", "evil.test")
    assert (blocked.code, "on the management server" in blocked.err) == (1, True)


@pytest.mark.wide
def test_a_server_that_runs_takes_what_it_is_granted_again_by_itself(
    network: Organisation, other: Organisation
) -> None:
    start(other)
    before = serial_in(other.folder)
    assert network.type("ca", "revoke", FE2).code == 0
    done = joined(network, other.folder)
    assert done.code == 0, done.err
    assert f"In force on {FE2}." in done.out
    assert serial_in(other.folder) != before
    assert other.type("explain", other.address(FE2)).code == 0


@pytest.mark.wide
def test_a_grant_from_before_takes_nothing_back(network: Organisation, other: Organisation, tmp_path: Path) -> None:
    """Neither the version nor a list: an old grant may lie in a mailbox."""
    old = tmp_path / "old"
    shutil.copytree(other.folder, old)
    network.type("partner", "block", "evil.test", "--wait", "0")
    network.type("ca", "crl")
    assert joined(network, other.folder).code == 0
    listed = (other.folder / "ca" / "issuing.crl").read_bytes()
    shutil.copy(old / f"{FE2}.join", other.folder)
    again = accept(network, other.folder)
    assert again.code == 0, again.err
    assert "version 4" in again.out
    assert (other.folder / "ca" / "issuing.crl").read_bytes() == listed


@pytest.mark.wide
def test_a_holding_that_was_touched_is_put_right_by_joining_again(network: Organisation, other: Organisation) -> None:
    held = other.folder / "state" / f"{FE2}.topology"
    good = held.read_bytes()
    held.write_bytes(good[:-9])
    refused = other.type("serve", FE2)
    assert (refused.code, "join this server again" in refused.err) == (1, True)
    assert joined(network, other.folder).code == 0
    assert held.read_bytes() == good


@pytest.mark.wide
def test_grant_is_written_to_the_current_directory_which_the_command_says(
    network: Organisation, tmp_path: Path
) -> None:
    far, here = tmp_path / "far", tmp_path / "here"
    far.mkdir()
    here.mkdir()
    assert sipmesh("join", "request", FE2, "--dir", far).code == 0
    with chdir(here):
        granted = network.type("join", "grant", far / f"{FE2}.csr")
    assert [file.name for file in here.iterdir()] == [f"{FE2}.join"]
    assert not (far / f"{FE2}.join").exists()
    assert f"{FE2}.join in the current directory is the grant for {FE2}." in granted.out


def test_a_root_that_is_not_the_one_shown_is_not_trusted(network: Organisation, other: Organisation) -> None:
    wrong = sipmesh("join", "accept", other.folder / f"{FE2}.join", "--dir", other.folder, "--fingerprint", "00" * 32)
    assert (wrong.code, "not confirmed" in wrong.err) == (1, True)
