"""An organisation in one folder, whole or not at all."""

import os
from pathlib import Path

import pytest

from cli.world import sipmesh, uncommented
from sipmesh.topology.document.load import load


def test_a_fresh_organisation_passes_its_own_check(tmp_path: Path) -> None:
    made = sipmesh("init", "Example.com", "--dir", tmp_path / "o")
    assert made.code == 0
    checked = sipmesh("topology", "check", "--json", topology=tmp_path / "o" / "topology.yaml")
    found = checked.json
    crossings = found.pop("crossings")
    assert found == {"ok": True, "problems": [], "warnings": [], "published": 1, "unpublished": []}
    assert not any(one["key"].startswith("pools.") for one in crossings)  # all its servers are on loopback


def test_the_next_commands_are_reported(tmp_path: Path) -> None:
    told = sipmesh("init", "example.com", "--dir", tmp_path / "o").out.splitlines()
    assert [line.strip() for line in told[-3:]] == [
        f"cd {tmp_path / 'o'}",
        "sipmesh user add alice@example.com",
        "sipmesh serve mgmt.example.com fe1.example.com",
    ]


def test_every_example_in_the_topology_is_a_good_one(tmp_path: Path) -> None:
    """What is commented out may be switched on as it stands: a second front end, an edge, a federation."""
    sipmesh("init", "example.com", "--dir", tmp_path / "o")
    file = tmp_path / "o" / "topology.yaml"
    file.write_text(uncommented(file.read_text()))
    topology = load(file).topology
    assert [str(pool.role) for pool in topology.pools] == ["management", "front-end", "edge"]
    assert (len(topology.pools[1].servers), topology.federation.route) == (2, "sip.example.com")


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    sipmesh("init", "example.com", "--dir", tmp_path / "o", "--user", "alice", "--password-stdin", typed="secret-one\n")
    secret = [path for path in (tmp_path / "o").rglob("*") if path.suffix == ".key" or path.name == "users.db"]
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}
    assert len(secret) == 7


@pytest.mark.parametrize(("umask", "mode"), [(0o000, 0o644), (0o002, 0o644), (0o077, 0o600)])
def test_only_its_owner_writes_to_the_draft_under_each_umask(tmp_path: Path, umask: int, mode: int) -> None:
    """A user who can write to the draft decides what the operator publishes next."""
    before = os.umask(umask)
    try:
        assert sipmesh("init", "example.com", "--dir", tmp_path / "o").code == 0
        assert sipmesh("topology", "add", "domain", "example.org", "--topology", file := tmp_path / "o/topology.yaml")
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == mode


def test_the_first_users_are_added_with_the_organisation(tmp_path: Path) -> None:
    """With a password each, and not without the second one."""
    options = ("--user", "alice", "--user", "bob", "--digest", "md5", "--password-stdin", "--dir", tmp_path / "o")
    assert sipmesh("init", "example.com", *options, typed="secret-one\n").code == 1
    assert sipmesh("init", "example.com", *options, typed="secret-one\nsecret-two\n").code == 0
    found = sipmesh("user", "list", "--json", topology=tmp_path / "o" / "topology.yaml").json
    assert [(one["user"], one["digest"]) for one in found] == [
        ("alice@example.com", ["MD5"]),
        ("bob@example.com", ["MD5"]),
    ]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "name yours: sipmesh init example.com"),
        (("short",), "short name"),
        (("192.0.2.1",), "IP address"),
        (("example.com", "--address", "fe1"), "not an IP address"),
        (("example.com", "--organisation", "x" * 65), "65 characters"),
    ],
)
def test_what_cannot_be_a_name_leaves_no_folder(tmp_path: Path, arguments: tuple[str, ...], why: str) -> None:
    left = sipmesh("init", *arguments, "--dir", tmp_path / "o")
    assert left.code == 1
    assert why in left.err
    assert list(tmp_path.iterdir()) == []


def test_an_organisation_is_never_overwritten(tmp_path: Path) -> None:
    sipmesh("init", "example.com", "--dir", tmp_path / "o")
    before = (tmp_path / "o" / "ca" / "root.pem").read_bytes()
    assert sipmesh("init", "example.com", "--dir", tmp_path / "o").code == 1
    assert (tmp_path / "o" / "ca" / "root.pem").read_bytes() == before


def test_a_user_without_a_password_leaves_no_folder(tmp_path: Path) -> None:
    left = sipmesh("init", "example.com", "--dir", tmp_path / "o", "--user", "alice", "--password-stdin", typed="")
    assert left.code == 1
    assert list(tmp_path.iterdir()) == []


def test_an_organisation_may_listen_elsewhere_and_be_called_as_it_likes(tmp_path: Path) -> None:
    """A name with YAML's own signs in it is written so that it reads as it was typed."""
    named = ("--organisation", 'Ex: "ample" #1', "--address", "::1")
    assert sipmesh("init", "example.com", "--dir", tmp_path / "o", *named).code == 0
    topology = load(tmp_path / "o" / "topology.yaml").topology
    assert (topology.organisation, topology.pools[0].servers[0].address) == ('Ex: "ample" #1', "::1")


def test_a_folder_that_is_there_stays_the_same_folder(tmp_path: Path) -> None:
    """The home of a service, or a volume: its owner cannot make another one beside it."""
    (tmp_path / "o").mkdir(mode=0o750)
    before = (tmp_path / "o").stat()
    assert sipmesh("init", "example.com", "--dir", tmp_path / "o").code == 0
    after = (tmp_path / "o").stat()
    assert (after.st_ino, after.st_mode, after.st_uid) == (before.st_ino, before.st_mode, before.st_uid)
    assert sipmesh("topology", "check", topology=tmp_path / "o" / "topology.yaml").code == 0
    assert not [entry for entry in (tmp_path / "o").iterdir() if entry.name.startswith(".")]


def test_a_folder_that_is_there_is_empty_again_after_a_failure(tmp_path: Path) -> None:
    (tmp_path / "o").mkdir()
    assert (
        sipmesh("init", "example.com", "--dir", tmp_path / "o", "--user", "a b", "--password-stdin", typed="x\n").code
        == 1
    )
    assert list((tmp_path / "o").iterdir()) == []
