"""The passphrase of encrypted key files. It is in a file that the operator names, or comes from systemd.

One passphrase is used for all key files of a machine. It is read again for each key, so a corrected file is used at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, Problem
from sipmesh.regular_file import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "SIPMESH_KEY_PASSPHRASE_FILE"
CREDENTIAL: Final = "sipmesh-key"
HOW: Final = (
    f"set {VARIABLE} to the file with the passphrase, or add LoadCredential={CREDENTIAL}:FILE to the systemd unit"
)

SHORTEST: Final = 20
"""Minimum characters of a passphrase for encryption. PKCS #8 slows down guessing by 2,048 rounds only, so it must be random.
It is read from a file and not typed, so it may be long."""

LONGEST: Final = 1_023
"""Maximum octets of a passphrase: the limit of the library."""

_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
_OTHERS, _ANYBODY = 0o077, 0o007


def source(environment: Mapping[str, str] | None = None) -> Path | None:
    """Give the file with the passphrase, or None. A file that the operator names comes before that of systemd."""
    variables = os.environ if environment is None else environment
    if named := variables.get(VARIABLE):
        return Path(named)
    if folder := variables.get(_DIRECTORY):
        credential = Path(folder) / CREDENTIAL
        return credential if credential.exists() else None
    return None


def read(file: Path, what: str = "passphrase", how: str = HOW) -> bytes:
    """Give the first line of *file*, a *what*; raises `OperatorError` if it is empty, or if other users can read the file.

    systemd passes credentials with an access control list. The mask of that list takes the place of the group permissions, and
    other users cannot enter the folder. So group permissions are allowed for that file.
    """
    is_credential = file.name.startswith("sipmesh-") and str(file.parent) == os.environ.get(_DIRECTORY)
    forbidden = _ANYBODY if is_credential else _OTHERS
    try:
        if file.stat().st_mode & forbidden:
            raise _unusable(
                file,
                "is readable for other users",
                f"run `chmod 600 {file}`, and choose a new {what} if another user has read it",
                what,
            )
        line = read_regular(file).partition(b"\n")[0].removesuffix(b"\r")
    except OSError as wrong:
        raise _unusable(file, f"cannot be read ({wrong.strerror})", how, what) from None
    if not line:
        remedy = f"write the {what} there; for a new passphrase: openssl rand -base64 24 > {file}"
        raise _unusable(file, f"has no {what} in its first line", remedy, what)
    if len(line) > LONGEST:
        raise _unusable(file, f"has more than {LONGEST:,} octets in its first line", how, what)
    return line


def to_encrypt_with() -> bytes | None:
    """Give the passphrase for a new key file, or None if none is configured; OperatorError if it is too short."""
    if (file := source()) is None:
        return None
    found = read(file)
    if len(found) < SHORTEST:
        reason = f"has a passphrase of {len(found)} characters; the minimum is {SHORTEST}"
        raise _unusable(file, reason, "make a random passphrase: openssl rand -base64 24")
    return found


def _unusable(file: Path, reason: str, remedy: str, what: str = "passphrase") -> OperatorError:
    return OperatorError(f"the {what} of the keys cannot be used", (Problem(file, 0, "", reason, remedy),))
