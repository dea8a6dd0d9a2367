"""Encrypts private keys where they lie: each file is whole at any time, and either none is touched or all are done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki import files
from sipmesh.pki.keys import passphrase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes


def keys_below(folder: Path) -> list[Path]:
    """The key files of an organisation's folder, those of the CA and of a certificate that is being renewed included."""
    patterns = ("ca/**/*.key", "servers/**/*.key", "state/*.next-key")
    return sorted(file for pattern in patterns for file in folder.glob(pattern))


def protect(keys: Iterable[Path]) -> tuple[Path, ...]:
    """Encrypt each key that is in the clear with the configured passphrase; gives those that were.

    Raises `OperatorError` where no passphrase is configured, and for keys that cannot be read or that it does not open; then
    nothing was changed.
    """
    if passphrase.source() is None:
        raise OperatorError(f"there is no passphrase to encrypt with: {passphrase.HOW}")
    plain: dict[Path, tuple[bytes, PrivateKeyTypes]] = {}
    problems: list[Problem] = []
    for file in keys:
        try:
            if found := _plain(file):
                plain[file] = found
        except OperatorError as wrong:
            problems += wrong.problems
    if problems:
        raise OperatorError("no key was encrypted", tuple(dict.fromkeys(problems)))
    files.commit([_prepared(file, pem, key) for file, (pem, key) in plain.items()])
    return tuple(plain)


def _plain(file: Path) -> tuple[bytes, PrivateKeyTypes] | None:
    """The content and the key of a file that is in the clear; None for one that the passphrase opens already."""
    try:
        pem = file.read_bytes()
        key = files.open_key(file, pem)
    except OSError as wrong:
        problem = Problem(file, 0, "", f"cannot be read ({wrong.strerror})", "run this as the owner of the keys")
        raise OperatorError("a private key cannot be used", (problem,)) from None
    except (ValueError, UnsupportedAlgorithm):
        problem = Problem(file, 0, "", "contains no readable private key", "restore it from your backup")
        raise OperatorError("a private key cannot be used", (problem,)) from None
    return None if files.is_encrypted(pem) else (pem, key)


def _prepared(file: Path, pem: bytes, key: PrivateKeyTypes) -> Callable[[], None]:
    place = files.prepare(file, files.key_pem(key), files.SECRET)

    def place_over() -> None:
        if file.read_bytes() == pem:  # else a server has renewed it meanwhile
            place()

    return place_over
