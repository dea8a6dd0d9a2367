"""An organisation whose CA is in a token: from `sipmesh init` to a TLS handshake, and through a loss of the token."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from cli.world import FE1, MGMT, Organisation, sipmesh
from sipmesh.pki.tokens.key_place import in_tokens
from support.soft_hsm import PIN, SoftToken, new_token, token_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.peer("softhsm", "openssl")


@pytest.fixture(name="soft", scope="module")
def _soft(tmp_path_factory: pytest.TempPathFactory) -> SoftToken:
    return new_token(tmp_path_factory.mktemp("pin"))


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory, soft: SoftToken) -> Iterator[Organisation]:
    """The organisation runs: management, which signs with the token, and a front end."""
    folder = tmp_path_factory.mktemp("h") / "o"
    local = ("--management", "127.0.0.1", "--front-end", "127.0.0.1")
    done = sipmesh("init", "example.com", "--dir", folder, "--pkcs11", soft.uri, *local)
    assert done.code == 0, done.err
    organisation = Organisation(folder)
    organisation.choose_ports(whole=False)
    organisation.publish("ports that are free")
    organisation.serve_together(MGMT, FE1)
    yield organisation
    organisation.stop()


def handshake(organisation: Organisation) -> str:
    """Let openssl open a TLS connection to the front end, with our root alone."""
    given = ("-connect", organisation.address(FE1), "-CAfile", organisation.root, "-verify_hostname", FE1)
    done = subprocess.run(
        ("openssl", "s_client", *given, "-verify_return_error", "-brief"),
        input=b"",
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.stderr.decode()


def test_front_end_proves_itself_by_a_ca_in_a_token(made: Organisation) -> None:
    assert "Verification: OK" in handshake(made)
    there = {file.name for file in in_tokens(made.folder.rglob("*.key"))}
    assert there == {"root.key", "issuing.key", "devices.key", f"{MGMT}.signer.key"}
    assert (made.folder / "servers" / f"{FE1}.key").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")


def test_certificates_crls_and_versions_are_signed_while_it_runs(made: Organisation) -> None:
    issued = made.type("ca", "issue", FE1)
    assert issued.code == 0, issued.err
    assert made.type("ca", "crl").code == 0
    assert made.publish("one more version").code == 0
    assert "Verification: OK" in handshake(made)


def test_token_that_is_away_stops_signatures_and_no_link(made: Organisation) -> None:
    folder = token_folder()
    crl = (made.folder / "ca" / "issuing.crl").read_bytes()
    (folder / "tokens").rename(folder / "away")
    (folder / "tokens").mkdir()
    try:
        refused = made.type("ca", "crl")
        assert (refused.code, "plug the token in" in refused.err) == (1, True)
        assert (made.folder / "ca" / "issuing.crl").read_bytes() == crl
        assert "Verification: OK" in handshake(made)
    finally:
        (folder / "tokens").rmdir()
        (folder / "away").rename(folder / "tokens")
    assert made.type("ca", "crl").code == 0
    assert made.publish("the token is back, and management was not restarted").code == 0


def test_pin_is_in_no_file_and_in_no_output(made: Organisation, soft: SoftToken, tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("a passphrase of a backup\n")
    (tmp_path / "passphrase").chmod(0o600)
    done = made.type("backup", tmp_path / "b", "--passphrase-file", tmp_path / "passphrase")
    assert "it is not in the backup" in done.out
    told = "".join(made.type(*command).out for command in (("ca", "status"), ("audit", "show"), ("topology", "show")))
    written = b"".join(file.read_bytes() for file in made.folder.rglob("*") if file.is_file())
    assert soft.pin_file.read_text() == PIN
    assert PIN not in done.out + told
    assert PIN.encode() not in written


def test_root_in_a_token_is_not_detached(made: Organisation, tmp_path: Path) -> None:
    refused = made.type("ca", "root", "detach", tmp_path / "safe")
    assert (refused.code, "take the token away instead" in refused.err) == (1, True)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        (
            "pkcs11:token=none?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/nonexistent",
            "No token matching",
        ),
        ("pkcs11:token=x?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-value=271828", "has the PIN"),
        ("token", "this is no PKCS #11 URI"),
    ],
)
def test_organisation_is_made_completely_or_not_at_all(tmp_path: Path, uri: str, why: str) -> None:
    token_folder()
    refused = sipmesh("init", "example.com", "--dir", tmp_path / "o", "--pkcs11", uri)
    assert (refused.code, why in refused.err, PIN in refused.err) == (1, True, False)
    assert not (tmp_path / "o").exists()
