"""Encrypted keys, as an operator meets them: a server starts with its passphrase, and says in a sentence why without."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.world import Organisation, sipmesh, until
from sipmesh.demo.organisation import Organisation as Example
from sipmesh.pki.keys.passphrase import CREDENTIAL, VARIABLE
from sipmesh.trust.evidence import LinkKind
from support.network import FE1, FE2

PASSPHRASE = "a passphrase that nobody types"


@pytest.fixture(name="passphrase")
def _passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the passphrase; each test begins without one in its environment."""
    monkeypatch.delenv(VARIABLE, raising=False)
    file = tmp_path / "passphrase"
    file.write_text(f"{PASSPHRASE}\n")
    file.chmod(0o600)
    return file


@pytest.fixture(name="served")
def _served(example: Example) -> Iterator[Organisation]:
    """Two front ends that load their topology from the folder; what a test starts is stopped after it."""
    made = Organisation(example.folder, example.domain)
    for name in (FE1, FE2):
        made.ports[f"{name} client"] = example.address(name, LinkKind.CLIENT)[1]
    yield made
    made.stop()


@pytest.fixture(name="protected")
def _protected(served: Organisation, passphrase: Path, monkeypatch: pytest.MonkeyPatch) -> Organisation:
    """An organisation whose keys were encrypted where they lay."""
    monkeypatch.setenv(VARIABLE, str(passphrase))
    done = served.type("ca", "protect")
    assert done.code == 0, done.err
    return served


def keys_of(organisation: Organisation) -> dict[str, Path]:
    return {file.name: file for file in organisation.folder.glob("*/*.key")}


def encrypted(file: Path) -> bool:
    return file.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


def test_every_key_of_the_folder_is_encrypted_in_place(protected: Organisation) -> None:
    keys = keys_of(protected)
    assert {"root.key", "issuing.key", f"{FE1}.key", f"{FE2}.key"} <= set(keys)
    assert all(map(encrypted, keys.values()))
    assert {stat.S_IMODE(file.stat().st_mode) for file in keys.values()} == {0o600}
    assert not list(protected.folder.glob("**/.*.new"))


def test_a_second_time_changes_nothing(protected: Organisation) -> None:
    before = {file: file.read_bytes() for file in keys_of(protected).values()}
    done = protected.type("ca", "protect")
    assert f"{len(before)} keys of {len(before)} were encrypted already" in done.out
    assert before == {file: file.read_bytes() for file in before}


def test_without_a_passphrase_nothing_is_encrypted(served: Organisation, passphrase: Path) -> None:
    left = served.type("ca", "protect")
    assert left.code == 1
    assert f"there is no passphrase to encrypt with: set {VARIABLE} to the file with the passphrase" in left.err
    assert not any(map(encrypted, keys_of(served).values()))


def test_one_key_that_cannot_be_read_leaves_all_as_they_were(
    served: Organisation, passphrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the keys under a passphrase would be a surprise at the next start."""
    monkeypatch.setenv(VARIABLE, str(passphrase))
    keys = keys_of(served)
    keys[f"{FE1}.key"].write_text("broken")
    left = served.type("ca", "protect")
    assert left.code == 1
    assert f"{FE1}.key: contains no readable private key" in left.err
    assert not any(map(encrypted, keys.values()))


def test_new_keys_are_encrypted_where_the_old_keys_are(protected: Organisation) -> None:
    assert protected.type("ca", "issue", FE1).code == 0
    assert all(map(encrypted, keys_of(protected).values()))


def test_an_organisation_begins_with_encrypted_keys_where_a_passphrase_is_configured(
    tmp_path: Path, passphrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(passphrase))
    assert sipmesh("init", "example.com", "--dir", tmp_path / "o").code == 0
    keys = keys_of(Organisation(tmp_path / "o"))
    assert "mgmt.example.com.signer.key" in keys
    assert all(map(encrypted, keys.values()))


def test_a_ca_whose_passphrase_is_missing_issues_and_revokes_nothing(
    protected: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    for command in (("issue", FE1), ("revoke", FE1), ("crl",)):
        left = protected.type("ca", *command)
        assert left.code == 1
        assert "is encrypted, and no passphrase is configured" in left.err


def test_a_server_serves_with_its_encrypted_key(protected: Organisation) -> None:
    protected.serve(FE1)
    assert protected.type("explain", protected.address(FE1), "--name", FE1).code == 0


def test_a_server_serves_with_the_credential_that_systemd_hands_it(
    protected: Organisation, passphrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    passphrase.rename(passphrase.with_name(CREDENTIAL))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(passphrase.parent))
    protected.serve(FE1)
    assert protected.type("explain", protected.address(FE1), "--name", FE1).code == 0


def test_a_server_without_its_passphrase_does_not_start_and_says_what_is_wanted(
    protected: Organisation, passphrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fault in its own sentence; none has the passphrase, and the control starts beside them."""
    said = {}
    monkeypatch.delenv(VARIABLE)
    said["missing"] = protected.type("serve", FE1)
    monkeypatch.setenv(VARIABLE, str(passphrase))
    passphrase.chmod(0o644)
    said["readable"] = protected.type("serve", FE1)
    passphrase.chmod(0o600)
    passphrase.write_text("some other passphrase, as long\n")
    said["wrong"] = protected.type("serve", FE1)
    passphrase.unlink()
    said["gone"] = protected.type("serve", FE1)
    assert {one.code for one in said.values()} == {1}
    assert not any(PASSPHRASE in one.err + one.out for one in said.values())
    assert "is encrypted, and no passphrase is configured" in said["missing"].err
    assert f"run `chmod 600 {passphrase}`" in said["readable"].err
    assert f"is encrypted with a passphrase that is not in {passphrase}" in said["wrong"].err
    assert "cannot be read (No such file or directory)" in said["gone"].err
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    protected.serve(FE1)


def test_a_server_that_runs_keeps_its_certificate_where_the_new_key_cannot_be_opened(
    served: Organisation, passphrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was started without a passphrase: the new key is not taken, the log says why, and the links stay."""
    served.serve(FE1)
    monkeypatch.setenv(VARIABLE, str(passphrase))
    assert served.type("ca", "issue", FE1).code == 0
    log = served.folder / f"{FE1}.log"
    until("certificate rejected", log)
    lines = [json.loads(line) for line in log.read_text().splitlines() if "certificate rejected" in line]
    assert "is encrypted, and no passphrase is configured" in str(lines[-1])
    assert served.type("explain", served.address(FE1), "--name", FE1).code == 0
