"""An error of the operating system becomes one sentence with file, reason and remedy."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sipmesh.pki import files
from sipmesh.pki.file_error import FileError, file_errors, make_folder
from support.full_disk import limited_to

FILE = Path("/somewhere/state/fe1.users")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room on the disk of /somewhere/state"),
        (errno.EACCES, "allow the user of sipmesh to read and write /somewhere/state"),
        (errno.EXDEV, "check /somewhere/state and its disk"),
    ],
)
def test_each_reason_has_its_remedy(number: int, remedy: str) -> None:
    with pytest.raises(FileError) as wrong, file_errors(FILE):
        raise OSError(number, os.strerror(number))
    assert str(wrong.value) == f"{FILE} cannot be written: {os.strerror(number)}; {remedy}"
    assert (wrong.value.file, wrong.value.reason) == (FILE, os.strerror(number))


def test_folder_is_created_for_its_owner_or_named(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match=r"file/folder cannot be created: Not a directory; make .*file a folder"):
        make_folder(tmp_path / "file" / "folder")


def test_file_that_does_not_fit_leaves_the_old_one_and_takes_no_room(tmp_path: Path) -> None:
    file = tmp_path / "document"
    files.write(file, b"old")
    with limited_to(1000):
        with pytest.raises(FileError, match="document cannot be written: File too large"):
            files.write(file, b"x" * 1001)
        assert [path.name for path in tmp_path.iterdir()] == ["document"]
        assert file.read_bytes() == b"old"
        files.write(file, b"x" * 1000)
    assert file.read_bytes() == b"x" * 1000
