import os
import stat
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.storage.keyfile import LONGEST_PASSWORD, load_or_create, read_password, read_secret


def write_secret(path: Path, secret: bytes) -> None:
    files.write(path, secret, files.SECRET)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_secret(tmp_path / "key", b"secret")
    assert read_secret(tmp_path / "key") == b"secret"


def test_only_the_owner_has_any_right(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_or_create(tmp_path / "key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o602])
def test_file_with_rights_for_others_is_refused_with_a_remedy(tmp_path: Path, mode: int) -> None:
    write_secret(tmp_path / "key", b"secret")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(OperatorError, match="chmod 600"):
        read_secret(tmp_path / "key")


def test_a_read_only_file_of_the_owner_is_accepted(tmp_path: Path) -> None:
    write_secret(tmp_path / "key", b"secret")
    (tmp_path / "key").chmod(0o400)
    assert read_secret(tmp_path / "key") == b"secret"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be read"):
        read_secret(tmp_path / "key")


def test_a_pipe_in_place_of_a_file_is_refused_at_once(tmp_path: Path) -> None:
    """Opening a FIFO would otherwise wait for a writer for ever."""
    os.mkfifo(tmp_path / "key", 0o600)
    with pytest.raises(OperatorError, match="not a regular file"):
        read_secret(tmp_path / "key")


def test_missing_folder_is_an_operator_error(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be written"):
        load_or_create(tmp_path / "none" / "key")


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    first = load_or_create(tmp_path / "key")
    assert len(first) == 32
    assert load_or_create(tmp_path / "key") == first
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_truncated_key_is_refused(tmp_path: Path) -> None:
    write_secret(tmp_path / "key", b"short")
    with pytest.raises(OperatorError, match="has 5 bytes"):
        load_or_create(tmp_path / "key")


@pytest.mark.parametrize(
    "content",
    [
        b"-----BEGIN PRIVATE KEY-----",
        b'{"kty": "oct", "k": "AAAA"}',
        b"first\nsecond\n",
        b"\xff\xfe",
        b"bell \a",
        b"",
        b" \n",
        b"x" * (LONGEST_PASSWORD + 1),
    ],
)
def test_what_is_no_password_is_not_sent_as_one(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "password"
    write_secret(file, content)
    with pytest.raises(OperatorError, match="is not a password: one line of printable text") as refused:
        read_password(file, tmp_path)
    assert content.decode("latin-1") == "" or content.decode("latin-1") not in str(refused.value)


@pytest.mark.parametrize(
    "content", [b"word", b"word\n", " Wörter mit Leerzeichen\r\n".encode(), b"x" * LONGEST_PASSWORD]
)
def test_password_is_one_line_of_text(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secrets" / "store"
    file.parent.mkdir()
    write_secret(file, content)
    assert read_password(file, tmp_path) == content.decode().strip()


@pytest.mark.parametrize(
    "name", ["ca/issuing.key", "management.json", "users.db", "state/pool.dialog-key", "servers/fe1.key"]
)
def test_password_is_not_read_from_what_the_server_has_for_itself(tmp_path: Path, name: str) -> None:
    """Also through a link in the folder of passwords."""
    for folder in ("ca", "state", "servers", "secrets"):
        (tmp_path / folder).mkdir()
    write_secret(tmp_path / name, b"one-line")
    (tmp_path / "secrets" / "link").symlink_to(tmp_path / name)
    for file in (tmp_path / name, tmp_path / "secrets" / "link"):
        with pytest.raises(OperatorError, match="is no place for a password"):
            read_password(file, tmp_path)
