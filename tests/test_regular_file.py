"""Only regular files are read where others may put something else in place of a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sipmesh.regular_file import read_regular


@pytest.mark.parametrize("special", ["pipe", "terminal", "folder"])
def test_file_that_would_keep_the_reader_waiting_is_refused(tmp_path: Path, special: str) -> None:
    """A server reads small files on its loop: a pipe, or a link to a terminal, in place of one stopped it."""
    file, held = tmp_path / "root.crl", tmp_path / "root.pem"
    held.write_bytes(b"12345")
    if special == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("/dev/ptmx" if special == "terminal" else tmp_path)
    with pytest.raises(OSError, match="it is not a regular file"):
        read_regular(file)
    file.unlink()
    file.symlink_to(held)
    assert read_regular(file) == b"12345"
