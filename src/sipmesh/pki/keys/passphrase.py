"""The passphrase of encrypted key files: it comes from a file that the operator names, or from systemd, and is kept nowhere.

One passphrase opens all key files of a machine. It is read anew for each key, so that a file that was mended counts at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "SIPMESH_KEY_PASSPHRASE_FILE"
CREDENTIAL: Final = "sipmesh-key"
HOW: Final = (
    f"set {VARIABLE} to the file with the passphrase, or add LoadCredential={CREDENTIAL}:FILE to the systemd unit"
)

SHORTEST: Final = 20
"""Characters of a passphrase that we encrypt with. PKCS #8 slows a guess down by 2,048 rounds only, so it has to be random;
nobody types it."""

LONGEST: Final = 1_023
"""The library takes no longer one."""

_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
_OTHERS, _ANYBODY = 0o077, 0o007


def source(environment: Mapping[str, str] | None = None) -> Path | None:
    """The file that holds the passphrase, None where none is configured; what the operator has named goes before systemd's."""
    held = os.environ if environment is None else environment
    if named := held.get(VARIABLE):
        return Path(named)
    if folder := held.get(_DIRECTORY):
        credential = Path(folder) / CREDENTIAL
        return credential if credential.exists() else None
    return None


def read(file: Path) -> bytes:
    """The first line of *file*; raises `OperatorError` where there is none, or where others could read it as well.

    systemd hands credentials out by an access list, whose mask stands where the group's rights stand otherwise, in a folder
    that no other user can enter.
    """
    forbidden = _ANYBODY if file.name == CREDENTIAL and str(file.parent) == os.environ.get(_DIRECTORY) else _OTHERS
    try:
        if file.stat().st_mode & forbidden:
            raise _unusable(
                file,
                "is readable for other users",
                f"run `chmod 600 {file}`, and choose a new passphrase if another user has read it",
            )
        line = file.read_bytes().partition(b"\n")[0].removesuffix(b"\r")
    except OSError as wrong:
        raise _unusable(file, f"cannot be read ({wrong.strerror})", HOW) from None
    if not line:
        raise _unusable(
            file, "has no passphrase in its first line", f"make a passphrase: openssl rand -base64 24 > {file}"
        )
    if len(line) > LONGEST:
        raise _unusable(file, f"has more than {LONGEST:,} octets in its first line", HOW)
    return line


def to_encrypt_with() -> bytes | None:
    """The passphrase for a key that is being written, None where none is configured; a short one is refused."""
    if (file := source()) is None:
        return None
    found = read(file)
    if len(found) < SHORTEST:
        reason = f"has a passphrase of {len(found)} characters; the minimum is {SHORTEST}"
        raise _unusable(file, reason, "make a random passphrase: openssl rand -base64 24")
    return found


def _unusable(file: Path, reason: str, remedy: str) -> OperatorError:
    return OperatorError("the passphrase of the keys cannot be used", (Problem(file, 0, "", reason, remedy),))
