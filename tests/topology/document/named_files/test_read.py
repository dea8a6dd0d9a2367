"""A file that a document names is read under a limit, and why it cannot be read is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.topology.document.named_files.read import UnusableFileError, read_file


def test_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "root.pem"
    file.write_bytes(b"12345")
    assert read_file(file, 5) == b"12345"
    with pytest.raises(UnusableFileError, match="is larger than 4 octets"):
        read_file(file, 4)


def test_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(UnusableFileError, match=r"cannot be read \(No such file or directory\)"):
        read_file(tmp_path / "gone", 5)
    with pytest.raises(UnusableFileError, match=r"cannot be read \(it is not a regular file\)"):
        read_file(tmp_path, 5)
    with pytest.raises(UnusableFileError, match=r"cannot be read \(.*embedded null"):
        read_file(tmp_path / "a\0b", 5)
