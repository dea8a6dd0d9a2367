"""Keys are encrypted in place. A key that a server renews in the meantime is not replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.keys.passphrase import VARIABLE
from sipmesh.pki.keys.protection import keys_below, protect


@pytest.fixture(name="passphrase", autouse=True)
def _passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "passphrase"
    files.write(file, b"a passphrase that nobody types\n", files.SECRET)
    monkeypatch.setenv(VARIABLE, str(file))
    return file


@pytest.fixture(name="plain")
def _plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key in the clear."""
    with monkeypatch.context() as without:
        without.delenv(VARIABLE)
        files.write(tmp_path / "plain.key", files.key_pem(files.new_key()), files.SECRET)
    return tmp_path / "plain.key"


def test_a_key_stays_the_same_key(plain: Path) -> None:
    before = files.read_key(plain).public_key()
    assert protect([plain]) == (plain,)
    assert files.is_encrypted(plain.read_bytes())
    assert files.read_key(plain).public_key() == before


def test_foreign_rsa_key_is_encrypted_too(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = tmp_path / "brought.key"
    files.write(file, key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()), files.SECRET)
    protect([file])
    pem = file.read_bytes()
    assert files.is_encrypted(pem)
    assert files.open_key(file, pem).public_key() == key.public_key()


def test_a_key_under_another_passphrase_leaves_all_as_they_were(tmp_path: Path, plain: Path, passphrase: Path) -> None:
    other = tmp_path / "other.key"
    files.write(other, files.key_pem(files.new_key()), files.SECRET)
    files.write(passphrase, b"another passphrase, just as long\n", files.SECRET)
    with pytest.raises(OperatorError, match=r"other\.key: is encrypted with a passphrase that is not in "):
        protect([plain, other])
    assert not files.is_encrypted(plain.read_bytes())


def test_a_passphrase_that_is_too_short_encrypts_nothing(plain: Path, passphrase: Path) -> None:
    files.write(passphrase, b"short\n", files.SECRET)
    with pytest.raises(OperatorError, match="has a passphrase of 5 characters"):
        protect([plain])
    assert not files.is_encrypted(plain.read_bytes())


def test_key_renewed_in_the_meantime_is_not_replaced(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = files.prepare
    renewed = files.key_pem(files.new_key())

    def prepare_late(file: Path, content: bytes, mode: int) -> object:
        made = prepare(file, content, mode)
        file.write_bytes(renewed)
        return made

    monkeypatch.setattr(files, "prepare", prepare_late)
    protect([plain])
    assert plain.read_bytes() == renewed


def test_the_keys_of_a_folder_are_the_cas_the_servers_and_the_next_keys(tmp_path: Path) -> None:
    """Not the secrets of tokens, which are no private keys."""
    wanted = ("ca/root.key", "ca/2/issuing.key", "servers/a.key", "servers/a.signer.key", "state/a.next-key")
    for name in (*wanted, "state/a.token-key", "servers/a.pem"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert {str(file.relative_to(tmp_path)) for file in keys_below(tmp_path)} == set(wanted)


def test_key_that_is_encrypted_already_is_left_alone(plain: Path) -> None:
    protect([plain])
    before = plain.read_bytes()
    assert protect([plain]) == ()
    assert plain.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "why"), [(None, "cannot be read"), (b"no key", "contains no readable private key")]
)
def test_key_that_cannot_be_read_leaves_all_as_they_were(
    tmp_path: Path, plain: Path, content: bytes | None, why: str
) -> None:
    bad = tmp_path / "bad.key"
    if content is not None:
        files.write(bad, content, files.SECRET)
    with pytest.raises(OperatorError, match=why):
        protect([plain, bad])
    assert not files.is_encrypted(plain.read_bytes())


def test_without_a_passphrase_nothing_is_encrypted(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(OperatorError, match="no passphrase to encrypt with"):
        protect([plain])
