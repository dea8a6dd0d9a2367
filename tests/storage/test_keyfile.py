import os
import stat
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.keyfile import load_or_create, read_secret, write_secret


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_secret(tmp_path / "key", b"secret")
    assert read_secret(tmp_path / "key") == b"secret"


def test_only_the_owner_has_any_right(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_secret(tmp_path / "key", b"secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_second_write_replaces_the_first_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_secret(tmp_path / "key", b"old")
    write_secret(tmp_path / "key", b"new")
    assert read_secret(tmp_path / "key") == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


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
        write_secret(tmp_path / "none" / "key", b"secret")


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    first = load_or_create(tmp_path / "key")
    assert len(first) == 32
    assert load_or_create(tmp_path / "key") == first
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_truncated_key_is_refused(tmp_path: Path) -> None:
    write_secret(tmp_path / "key", b"short")
    with pytest.raises(OperatorError, match="has 5 bytes"):
        load_or_create(tmp_path / "key")
