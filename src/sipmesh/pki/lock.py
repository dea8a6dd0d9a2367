"""The lock of one CA folder. Several processes may use the CA, but only one signs at a time."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sipmesh.pki import files
from sipmesh.pki.file_error import file_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def ca_lock(folder: Path) -> Iterator[None]:
    """Take the lock of the CA in *folder* for the duration of the block. The kernel releases it if the process ends.

    Without the lock an older CRL could replace a newer CRL. Raises `FileError` if the lock file cannot be made.
    """
    file = folder / ".lock"
    with file_errors(file):
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.SECRET)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
