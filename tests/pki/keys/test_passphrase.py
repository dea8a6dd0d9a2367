"""The source of the passphrase, and an error text for each fault of its file."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sipmesh.errors import OperatorError
from sipmesh.pki.files import SECRET, key_pem, new_key, read_key, write
from sipmesh.pki.keys.passphrase import CREDENTIAL, LONGEST, SHORTEST, VARIABLE, source

PASSPHRASE = "a passphrase that nobody types"


def put(file: Path, content: str = PASSPHRASE + "\n", mode: int = SECRET) -> Path:
    write(file, content.encode(), mode)
    return file


@pytest.fixture(name="passphrase")
def _passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the passphrase, configured."""
    file = put(tmp_path / "passphrase")
    monkeypatch.setenv(VARIABLE, str(file))
    return file


@pytest.fixture(name="encrypted")
def _encrypted(tmp_path: Path, passphrase: Path) -> Path:
    """A key that was written while the passphrase was configured."""
    write(tmp_path / "key", key_pem(new_key()), SECRET)
    return tmp_path / "key"


def refusal(key: Path) -> str:
    """What is said of a key that is not read; never the passphrase."""
    with pytest.raises(OperatorError) as told:
        read_key(key)
    assert PASSPHRASE not in str(told.value)
    return str(told.value)


def test_a_key_is_written_encrypted_where_a_passphrase_is_configured_and_read_again(encrypted: Path) -> None:
    pem = encrypted.read_bytes()
    assert pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert read_key(encrypted).public_key() == load_pem_private_key(pem, PASSPHRASE.encode()).public_key()


def test_without_one_a_key_is_written_in_the_clear(tmp_path: Path) -> None:
    assert key_pem(new_key()).startswith(b"-----BEGIN PRIVATE KEY-----")


def test_a_key_in_the_clear_is_read_also_where_a_passphrase_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are encrypted when the operator asks for it, or when they are made."""
    write(tmp_path / "key", key_pem(key := new_key()), SECRET)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "not-even-there"))
    assert read_key(tmp_path / "key").public_key() == key.public_key()


def test_an_encrypted_key_without_a_passphrase_says_where_to_name_one(
    encrypted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    said = refusal(encrypted)
    assert "key: is encrypted, and no passphrase is configured" in said
    assert f"{VARIABLE} to the file with the passphrase, or add LoadCredential={CREDENTIAL}:FILE" in said


def test_a_wrong_passphrase_is_reported_with_the_file_that_it_came_from(encrypted: Path, passphrase: Path) -> None:
    put(passphrase, "some other passphrase, as long\n")
    assert f"key: is encrypted with a passphrase that is not in {passphrase}" in refusal(encrypted)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_passphrase_file_that_others_can_read_is_refused(encrypted: Path, passphrase: Path, mode: int) -> None:
    """The control is the same file with its original mode."""
    passphrase.chmod(mode)
    assert f"{passphrase}: is readable for other users; run `chmod 600 {passphrase}`" in refusal(encrypted)
    passphrase.chmod(SECRET)
    read_key(encrypted)


def test_a_passphrase_that_is_not_there_is_reported_with_its_file(encrypted: Path, passphrase: Path) -> None:
    passphrase.unlink()
    assert f"{passphrase}: cannot be read (No such file or directory)" in refusal(encrypted)


@pytest.mark.parametrize("content", ["", "\n", "\r\n", "\nbehind an empty line, and long enough"])
def test_empty_passphrase_is_refused(encrypted: Path, passphrase: Path, content: str) -> None:
    put(passphrase, content)
    assert "has no passphrase in its first line" in refusal(encrypted)


@pytest.mark.parametrize("rest", ["", "\n", "\r\n", "\nand what is below it\n"])
def test_first_line_is_the_passphrase_with_any_line_end(encrypted: Path, passphrase: Path, rest: str) -> None:
    put(passphrase, PASSPHRASE + rest)
    read_key(encrypted)


@pytest.mark.parametrize(
    ("length", "passes"), [(SHORTEST, True), (SHORTEST - 1, False), (LONGEST, True), (LONGEST + 1, False)]
)
def test_short_passphrase_is_refused_for_encryption(passphrase: Path, length: int, passes: bool) -> None:  # noqa: FBT001
    put(passphrase, "x" * length)
    if passes:
        assert b"ENCRYPTED" in key_pem(new_key())
        return
    with pytest.raises(OperatorError, match="the passphrase of the keys cannot be used"):
        key_pem(new_key())


def test_systemds_credential_counts_and_may_be_shared_with_a_group_by_its_mask(
    encrypted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials come to an unprivileged user by an access list, whose mask is where the group's rights are."""
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    credential = put(tmp_path / CREDENTIAL, mode=0o440)
    read_key(encrypted)
    credential.chmod(0o444)
    assert f"{credential}: is readable for other users" in refusal(encrypted)


def test_a_unit_with_other_credentials_has_no_passphrase_and_what_is_named_goes_first(tmp_path: Path) -> None:
    unit = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert source(unit) is None
    credential = put(tmp_path / CREDENTIAL)
    assert source(unit) == credential
    assert source(unit | {VARIABLE: "/elsewhere"}) == Path("/elsewhere")
    assert source({}) is None
