"""A CA whose keys are in a token: each next key is made there too, and a key that was exchanged there signs nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.importing.subordinate import REQUEST_KEY, request_ca
from sipmesh.pki.issuance.lint import LintRefusedError
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.keys.protection import keys_below, protect
from sipmesh.pki.tokens.key_place import in_tokens, kept_key, new_key, token_of
from sipmesh.pki.tokens.token_key import TokenKey
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.pki.tokens.token_uri import TokenUri
    from support.soft_hsm import SoftToken

pytestmark = pytest.mark.peer("softhsm")

NOW = datetime.now(UTC)
NAMES = ("fe1.example.test", "example.test")


@pytest.fixture(name="ca")
def _ca(tmp_path: Path, uri: TokenUri) -> EnterpriseCa:
    tokens = {CertificateKind.ROOT: uri, CertificateKind.ISSUING: uri}
    url = "http://crl.example.test"
    return EnterpriseCa.create(tmp_path / "ca", "Example", NOW, crl_base=url, domains=["example.test"], tokens=tokens)


def test_all_keys_of_the_ca_and_of_its_next_generation_are_there(ca: EnterpriseCa, tmp_path: Path) -> None:
    generations = CaGenerations(ca.folder)
    generations.prepare(NOW)
    names = ("root", "issuing", "devices", "2/root", "2/issuing", "2/devices")
    assert sorted(in_tokens(keys_below(tmp_path))) == sorted(ca.folder / f"{name}.key" for name in names)
    leaf = generations.activate().issue(NAMES, Role.FRONT_END, NOW)
    assert b"BEGIN PRIVATE KEY" in leaf.key  # that of a server is in a file


def test_key_of_a_request_and_of_a_signer_are_there(ca: EnterpriseCa) -> None:
    request_ca(CaGenerations(ca.folder))
    assert kept_key(ca.folder / REQUEST_KEY) is not None
    assert TokenKey.is_in(ca.issue_signer("mg1.example.test", NOW).key)


def test_key_is_made_in_memory_without_a_token(tmp_path: Path, uri: TokenUri) -> None:
    assert not isinstance(new_key(None, "a key"), TokenKey)
    assert token_of(tmp_path / "none.key") is None
    files.write(tmp_path / "a.key", files.key_pem(new_key(uri, "a key")), files.SECRET)
    token = token_of(tmp_path / "a.key")
    assert token is not None
    assert token.token == uri.token


def test_key_that_was_exchanged_in_the_token_signs_nothing_that_is_handed_out(ca: EnterpriseCa) -> None:
    """Who has the PIN can make another key there. Its signature is not that of the certificate."""
    mine = kept_key(ca.folder / "issuing.key")
    assert mine is not None
    other = TokenKey.generate(replace(mine.uri, object="", id=""), "other", mine.curve)
    files.write(ca.folder / "issuing.key", TokenKey(other.uri, mine.public_key()).reference, files.SECRET)
    with pytest.raises(LintRefusedError, match="is not valid"):
        ca.issue(NAMES, Role.FRONT_END, NOW)
    with pytest.raises(LintRefusedError, match="the signature is not that of CN=Example Issuing CA"):
        ca.crls.publish(NOW)
    files.write(ca.folder / "issuing.key", mine.reference, files.SECRET)
    assert ca.issue(NAMES, Role.FRONT_END, NOW).certificate.issuer == ca.issuing.subject


def test_file_of_the_key_is_worth_nothing_without_the_pin(ca: EnterpriseCa, soft: SoftToken) -> None:
    """A backup, or another host of a management pool, has the file."""
    pin = soft.pin_file.read_text()
    soft.pin_file.unlink()
    before = (ca.folder / "issuing.crl").read_bytes()
    with pytest.raises(OperatorError, match="the PIN of the keys cannot be used"):
        ca.issue(NAMES, Role.FRONT_END, NOW)
    with pytest.raises(OperatorError, match="the PIN of the keys cannot be used"):
        ca.crls.publish(NOW)
    assert (ca.folder / "issuing.crl").read_bytes() == before
    soft.pin_file.write_text(pin)
    soft.pin_file.chmod(0o600)
    assert ca.crls.publish(NOW).read_bytes() != before


def test_encryption_of_keys_leaves_those_in_tokens_as_they_are(
    ca: EnterpriseCa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (secret := tmp_path / "passphrase").write_text("x" * 24)
    secret.chmod(0o600)
    monkeypatch.setenv("SIPMESH_KEY_PASSPHRASE_FILE", str(secret))
    assert protect(keys_below(tmp_path)) == ()
    assert kept_key(ca.folder / "root.key") is not None


def test_next_generation_of_a_ca_in_files_is_made_in_a_token(tmp_path: Path, uri: TokenUri) -> None:
    EnterpriseCa.create(tmp_path / "ca", "Example", NOW, crl_base="http://crl.example.test")
    generations = CaGenerations(tmp_path / "ca")
    coming = generations.prepare(NOW, uri)
    assert sorted(in_tokens(keys_below(tmp_path))) == [coming.folder / "issuing.key", coming.folder / "root.key"]
    generations.activate().issue(NAMES, Role.FRONT_END, NOW)
