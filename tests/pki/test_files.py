"""Files: whole or not at all, and keys that stay with their owner."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sipmesh.errors import OperatorError
from sipmesh.pki.files import (
    PUBLIC,
    SECRET,
    is_encrypted,
    keep_private,
    key_pem,
    make_readable_folder,
    must_be_private,
    new_key,
    prepare,
    read_key,
    write,
)
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.pki.keys.passphrase import VARIABLE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
@pytest.mark.parametrize("mode", [PUBLIC, SECRET])
def test_the_mode_is_ours_under_each_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write(tmp_path / "file", b"content", mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022])
def test_only_its_owner_writes_to_a_new_folder_under_each_umask(tmp_path: Path, umask: int) -> None:
    """A user who may write to the folder of a key or an anchor may replace the file, with any mode of the file."""
    before = os.umask(umask)
    try:
        make_readable_folder(tmp_path / "partners" / "partner.test")
    finally:
        os.umask(before)
    made = tmp_path / "partners", tmp_path / "partners" / "partner.test"
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in made] == [0o755, 0o755]


def test_a_file_is_the_old_one_until_it_is_placed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write(file, b"old")
    place = prepare(file, b"new", PUBLIC)
    assert file.read_bytes() == b"old"
    place()
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_key_replaces_a_key_that_others_could_read(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"old")
    file.chmod(0o644)
    write(file, b"new", SECRET)
    assert stat.S_IMODE(file.stat().st_mode) == SECRET


def test_file_left_by_a_crash_is_replaced(tmp_path: Path) -> None:
    prepare(tmp_path / "key", b"abandoned", PUBLIC)
    write(tmp_path / "key", b"new", SECRET)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == SECRET


def test_a_link_set_beside_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".key.new").symlink_to(tmp_path / "victim")
    write(tmp_path / "key", b"secret", SECRET)
    assert not (tmp_path / "victim").exists()


def test_a_key_is_read_back(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    write(tmp_path / "key", key_pem(key), SECRET)
    assert read_key(tmp_path / "key").public_key() == key.public_key()


@pytest.mark.parametrize(("mode", "reads"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False)])
def test_a_key_that_others_may_read_is_not_used(tmp_path: Path, mode: int, *, reads: bool) -> None:
    write(tmp_path / "key", key_pem(new_key()), mode)
    if reads:
        assert read_key(tmp_path / "key")
    else:
        with pytest.raises(OperatorError, match="chmod 600"):
            read_key(tmp_path / "key")


def test_other_keys_are_an_operator_error(tmp_path: Path) -> None:
    rsa_key = rsa.generate_private_key(65537, 2048)
    write(tmp_path / "rsa", rsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), SECRET)
    write(tmp_path / "nonsense", b"nonsense", SECRET)
    for name, reason in (
        ("rsa", "is neither an ECDSA key nor one of ML-DSA-44"),
        ("nonsense", "no readable private key"),
        ("gone", "No such file"),
    ):
        with pytest.raises(OperatorError, match=reason):
            read_key(tmp_path / name)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o602])
def test_a_key_that_others_can_read_or_write_is_not_read(tmp_path: Path, mode: int) -> None:
    """The error names the file, its mode and the command. After that command the key is read."""
    file = tmp_path / "key"
    write(file, key_pem(new_key()), SECRET)
    link = tmp_path / "link"
    link.symlink_to(file)
    file.chmod(mode)
    for name in (file, link):
        with pytest.raises(OperatorError, match=rf"{name}: has mode {mode:04o}: .*; run `chmod 600 {name}`"):
            read_key(name)
        with pytest.raises(OperatorError, match=f"chmod 600 {name}"):
            must_be_private([tmp_path / "missing", name])
    file.chmod(SECRET)
    assert KeyAlgorithm.of(read_key(link)) is KeyAlgorithm.P_256
    must_be_private([file, link, tmp_path / "missing"])


@pytest.mark.parametrize(
    ("mode", "kept"), [(0o777, 0o700), (0o720, 0o700), (0o702, 0o700), (0o755, 0o755), (0o700, 0o700)]
)
def test_only_a_folder_that_others_can_write_to_gets_another_mode(tmp_path: Path, mode: int, kept: int) -> None:
    """What others may only read keeps its mode: secrets are checked where they are read."""
    folder = tmp_path / "state"
    assert keep_private(folder) == []
    folder.mkdir()
    folder.chmod(mode)
    assert keep_private(folder) == [folder] * (mode != kept)
    assert folder.stat().st_mode & 0o777 == kept


@pytest.mark.parametrize(("mode", "kept"), [(0o666, 0o600), (0o620, 0o600), (0o644, 0o644), (0o600, 0o600)])
def test_only_a_file_that_others_can_write_to_gets_another_mode(tmp_path: Path, mode: int, kept: int) -> None:
    folder, outside = tmp_path / "state", tmp_path / "outside"
    (folder / "fetched").mkdir(parents=True)
    file = folder / "fetched" / "one"
    for path in (file, outside):
        path.touch()
        path.chmod(mode)
    (folder / "link").symlink_to(outside)
    assert keep_private(folder) == [file] * (mode != kept)
    assert (file.stat().st_mode & 0o777, outside.stat().st_mode & 0o777) == (kept, mode)


def test_encrypted_key_needs_its_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, file = tmp_path / "passphrase", tmp_path / "key"
    write(secret, b"a passphrase that nobody types\n", SECRET)
    monkeypatch.setenv(VARIABLE, str(secret))
    key = new_key()
    write(file, key_pem(key), SECRET)
    assert is_encrypted(file.read_bytes())
    assert read_key(file).public_key() == key.public_key()
    write(secret, b"another passphrase, just as long\n", SECRET)
    with pytest.raises(OperatorError, match="is encrypted with a passphrase that is not in"):
        read_key(file)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(OperatorError, match="is encrypted, and no passphrase is configured"):
        read_key(file)


def test_missing_key_says_what_to_restore(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="restore it from your backup"):
        read_key(tmp_path / "none")


def test_key_of_another_user_names_the_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root reads every file: the refusal of the kernel is made here."""
    file = tmp_path / "key"
    write(file, key_pem(new_key()), SECRET)

    def no_such_user(_file: Path) -> str:
        raise KeyError("uid not found")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("sipmesh.regular_file.os.open", refuse)
    with pytest.raises(OperatorError, match=f"the file belongs to {file.owner()}"):
        read_key(file)
    monkeypatch.setattr("pathlib.Path.owner", no_such_user)
    with pytest.raises(OperatorError, match="the file belongs to another user"):
        read_key(file)
