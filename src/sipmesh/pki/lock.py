"""The lock of one CA folder: several processes may use the CA, one at a time signs."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sipmesh.pki import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def ca_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of the CA in *folder*; the kernel drops it with the process.

    Without it an older CRL could take the place of a newer one.
    """
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.SECRET)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
