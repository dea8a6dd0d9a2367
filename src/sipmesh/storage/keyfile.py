"""Secrets in files: written completely or not at all, and readable only by their owner."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.file_error import file_errors
from sipmesh.pki.files import sync_folder
from sipmesh.topology.document.file_kind import is_reserved

OWNER_ONLY = 0o600
LARGEST_SECRET = 1 << 20
"""Octets; a key, a chain or a token is far smaller, and a path to something else must not fill memory."""


LONGEST_PASSWORD = 1024
"""Octets of a file with a password."""

_NO_PASSWORDS = ("-----BEGIN ", "{", "[{", "ssh-")


def read_secret(path: Path) -> bytes:
    """Return the content of *path*, if only its owner can read it.

    Raises `OperatorError` if it is missing, if it is no regular file, and if the group or others have any right to it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as wrong:
        raise _unusable(
            path, f"cannot be read: {wrong.strerror}", "put the file there, or allow the user of sipmesh to read it"
        ) from wrong
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, so that the file that was checked is the file that is read
        _check(path, os.fstat(descriptor))
        return file.read(LARGEST_SECRET)


def read_password(path: Path, folder: Path) -> str:
    """Return the password or secret in *path*: one line of printable text, without the blanks around it.

    It is sent to another program. So it is refused if the file leads to something else in the organisation's *folder*, and if it
    has the form of a key. Raises `OperatorError` as `read_secret` does also.
    """
    if is_reserved(path, folder):
        raise _unusable(path, "is no place for a password", "put the password into a file in secrets/, mode 0600")
    given = read_secret(path)
    try:
        text = given[: LONGEST_PASSWORD + 1].decode().strip()
    except UnicodeDecodeError:
        text = ""
    is_password = len(text) > 0 and len(given) <= LONGEST_PASSWORD and text.isprintable()
    if not is_password or text.startswith(_NO_PASSWORDS):
        reason = f"is not a password: one line of printable text, at most {LONGEST_PASSWORD} octets"
        raise _unusable(path, reason, "write the password into this file, alone")
    return text


def load_or_create(path: Path, size: int = 32) -> bytes:
    """Read a random key of *size* octets, or create it; two processes that start at the same time get the same key.

    Raises `OperatorError` as `read_secret` does, and if the file has another size.
    """
    if not path.exists():
        _create(path, secrets.token_bytes(size))
    key = read_secret(path)
    if len(key) != size:
        reason = f"has {len(key)} bytes; a key of this kind has {size}"
        raise _unusable(path, reason, "remove the file; the next start makes a new key")
    return key


def _create(path: Path, key: bytes) -> None:
    """Write *key*, unless another process was faster: unlike a rename, `link` never replaces a file.

    Raises `FileError` if the folder is not writable, or its disk is full.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with file_errors(path):
            _write_durably(draft, key)
            with suppress(FileExistsError):
                os.link(draft, path)
            sync_folder(path.parent)
    finally:
        with suppress(OSError):
            draft.unlink()


def _write_durably(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, since only os.open sets the mode at creation
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _unusable(path, "is not a regular file", "name the file with the secret")
    rights = stat.S_IMODE(found.st_mode)
    if rights & 0o077:
        raise _unusable(
            path,
            f"has mode {rights:04o}: other users may have read it",
            f"run `chmod 600 {path}`, or replace the secret",
        )


def _unusable(path: Path, reason: str, remedy: str) -> OperatorError:
    return OperatorError("a file with a secret cannot be used", (Problem(path, 0, "", reason, remedy),))


def pool_key_file(pool: str) -> str:
    """Return the name of the file with the key that all servers of *pool* have."""
    return f"{pool}.dialog-key"
