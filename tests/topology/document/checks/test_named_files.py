"""What a topology may name: each key names files of one kind, in the folder of that kind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from topology.world import Place

FE1 = "{name: fe1.example.test, address: 127.0.0.1, ports: {client: 5061, server: 5062}}"
EDGE = "servers: [edge1.example.test]"
STORE = "bindings: 'valkeys://v.example.test', valkey: {anchors: [ca/root.pem]"
SPOILS = {
    "anchors": ("anchors: [partners/c/root.pem]", "anchors: [%s]"),
    "crls": ("crls: [partners/c/root.crl, partners/c/issuing.crl]", "crls: [%s]"),
    "key": (FE1, FE1[:-1] + ", certificate: servers/fe1.example.test.pem, key: '%s'}"),
    "certificate": (FE1, FE1[:-1] + ", certificate: '%s', key: servers/fe1.example.test.key}"),
    "outside": (EDGE, "servers: [{name: edge1.example.test, outside: {certificate: servers/o.pem, key: '%s'}}]"),
    "clients": (FE1, FE1[:-1] + ", client_certificates: [{certificate: servers/p.pem, key: '%s'}]}"),
    "chain": (FE1, FE1[:-1] + ", client_certificates: [{certificate: '%s', key: servers/p.key}]}"),
    "bindings": ("federation:\n", "storage: {bindings: '%s'}\nfederation:\n"),
    "password_file": ("federation:\n", f"storage: {{{STORE}, password_file: '%s'}}}}\nfederation:\n"),
    "store_anchors": (
        "federation:\n",
        "storage: {bindings: 'valkeys://v.test', valkey: {anchors: ['%s']}}\nfederation:\n",
    ),
    "store_key": ("federation:\n", f"storage: {{{STORE}, certificate: servers/v.pem, key: '%s'}}}}\nfederation:\n"),
    "secret_file": ("federation:\n", "turn: {servers: ['turn:t.test'], secret_file: '%s'}\nfederation:\n"),
}
"""Each key that names a file, as a change of the topology."""

OF_NO_KEY = (
    "ca/root.key",
    "ca/issuing.key",
    "ca/issuing.pem",
    "ca/ledger.db",
    "state/fe1.example.test.users",
    "management.db",
    "management.json",
    "users.db",
    "topology.yaml",
    "servers/fe2.example.test.key",
    "servers/fe1.example.test.signer.key",
    "servers/old.example.test.signer.key",
    "servers/fe1.example.test.held",
    "servers",
    "../ca/issuing.key",
    "partners/../ca/issuing.key",
    "secrets/../ca/issuing.key",
    "./ca/issuing.key",
    "/proc/self/environ",
    "~/.ssh/id_ed25519",
    "nowhere.txt",
)


@pytest.mark.parametrize("key", SPOILS)
def test_ca_state_databases_and_files_of_other_servers_are_named_by_no_key(place: Place, key: str) -> None:
    old, new = SPOILS[key]
    good = place.file.read_text()
    for name in OF_NO_KEY:
        place.file.write_text(good)
        place.spoil((old, new % name))
        assert any(repr(name) in problem.reason and problem.line and problem.remedy for problem in place.problems())


@pytest.mark.parametrize("key", sorted(SPOILS.keys() - {"crls", "bindings"}))
def test_name_that_looks_like_a_url_is_a_file_where_no_url_is_allowed(place: Place, key: str) -> None:
    old, new = SPOILS[key]
    place.spoil((old, new % "x://../ca/issuing.key"))
    assert any("is not a plain path below the organisation's folder" in problem.reason for problem in place.problems())


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("anchors", "partners/c/root.pem"),
        ("crls", "partners/c/issuing.crl"),
        ("crls", "http://crl.other.test/issuing.crl"),
        ("key", "servers/fe1.example.test.key"),
        ("certificate", "servers/new.pem"),
        ("outside", "servers/edge1.example.test.outside.key"),
        ("clients", "servers/fe1.example.test.clients.key"),
        ("clients", "/etc/letsencrypt/live/fe1/privkey.pem"),
        ("chain", "/etc/letsencrypt/live/fe1/fullchain.pem"),
        ("bindings", "state/other.db"),
        ("password_file", "secrets/valkey"),
        ("password_file", "secrets/pool1/valkey.password"),
        ("store_anchors", "ca/root.pem"),
        ("store_anchors", "anchors/valkey.pem"),
        ("store_key", "servers/valkey.key"),
        ("secret_file", "secrets/turn"),
    ],
)
def test_file_in_the_folder_of_its_kind_is_accepted(place: Place, key: str, name: str) -> None:
    old, new = SPOILS[key]
    place.spoil((old, new % name))
    assert place.load()


@pytest.mark.parametrize(
    ("key", "link", "target"),
    [
        ("crls", "partners/ours.crl", "ca/issuing.key"),
        ("anchors", "partners/ours.pem", "ca/issuing.pem"),
        ("key", "servers/fe1.example.test.key", "ca/root.key"),
        ("clients", "servers/clients.key", "servers/fe2.example.test.key"),
        ("password_file", "secrets/valkey", "management.json"),
        ("bindings", "state/b.db", "users.db"),
    ],
)
def test_link_to_a_file_of_another_kind_is_refused(
    place: Place, tmp_path: Path, key: str, link: str, target: str
) -> None:
    old, new = SPOILS[key]
    place.spoil((old, new % link))
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / target)
    assert any(f"{link!r} is a link to {target}" in problem.reason for problem in place.problems())


def test_link_to_a_file_outside_of_the_organisation_is_accepted(
    place: Place, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A user who may write there decides: a secret of systemd, a certificate of certbot."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "valkey"
    elsewhere.write_text("secret")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "valkey").symlink_to(elsewhere)
    old, new = SPOILS["password_file"]
    place.spoil((old, new % "secrets/valkey"))
    assert place.load()


@pytest.mark.parametrize("key", ["anchors", "crls"])
def test_file_in_another_place_is_not_opened(place: Place, tmp_path: Path, key: str) -> None:
    """It may be a pipe without a writer. A draft can come from a file that was imported, and management compares it."""
    pipe = tmp_path / "pipe.pem"
    os.mkfifo(pipe)
    old, new = SPOILS[key]
    place.spoil((old, new % pipe))
    assert "is an absolute path" in place.problem().reason


def test_absolute_name_into_the_folder_is_refused(place: Place, tmp_path: Path) -> None:
    old, new = SPOILS["clients"]
    place.spoil((old, new % (tmp_path / "ca" / "issuing.key")))
    assert "is an absolute path into the organisation's folder" in place.problem().reason


def test_all_misplaced_files_are_reported_at_once_with_the_remedy_of_each(place: Place, tmp_path: Path) -> None:
    place.spoil(
        ("federation:\n", "turn: {servers: ['turn:t.test'], secret_file: turn.secret}\nfederation:\n"),
        ("anchors: [partners/c/root.pem]", "anchors: [/etc/kamailio/tls/other.pem]"),
        ("crls: [partners/c/root.crl, partners/c/issuing.crl]", "crls: [ca/issuing.key]"),
    )
    crl, anchor, secret = sorted(place.problems(), key=lambda problem: problem.remedy)
    assert (anchor.field, crl.field, secret.field) == (
        "federation.partners[1].anchors[0]",
        "federation.partners[1].crls[0]",
        "turn.secret_file",
    )
    assert crl.line == place.line("crls: [ca/issuing.key]")
    assert crl.reason == "'ca/issuing.key' is no place for a CRL"
    assert crl.remedy == "name a file in partners/ or anchors/, with a name that ends in .crl or .pem"
    moved = f"mv {tmp_path}/turn.secret {tmp_path}/secrets/turn.secret"
    assert secret.remedy == f"on each server that has it: {moved}; then write secrets/turn.secret here"
    copied = f"cp /etc/kamailio/tls/other.pem {tmp_path}/partners/other.pem"
    assert anchor.remedy == f"on each server that has it: {copied}; then write partners/other.pem here"
