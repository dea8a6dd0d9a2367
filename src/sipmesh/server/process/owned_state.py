"""One process owns the state of a server: while it starts, serves and drains, no other process may write there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, Problem

if TYPE_CHECKING:
    from pathlib import Path

LOCK: Final = ".lock"


@contextmanager
def owned_state(state: Path, name: str) -> Iterator[None]:
    """Own the state of the server *name* in the folder *state* until the end of the block.

    The kernel ends the ownership with the process (flock(2)). Raises `OperatorError` while another process has it, and if the
    lock cannot be made.
    """
    file = state / f"{name}{LOCK}"
    try:
        state.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as wrong:
        where = Problem(file, 0, "", wrong.strerror or str(wrong), "let the user of the servers write there")
        raise OperatorError(f"the state of {name} cannot be locked", (where,)) from wrong
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as wrong:
            remedy = "wait until it serves, or has stopped (a second SIGTERM stops it at once), and try again"
            where = Problem(file, 0, "", "another process owns the state of this server", remedy)
            raise OperatorError(f"{name} is starting, running or draining", (where,)) from wrong
        yield
    finally:
        os.close(descriptor)
