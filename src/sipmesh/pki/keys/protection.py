"""Encrypt existing private key files. Each file is replaced atomically, and only if all of them can be encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki import files
from sipmesh.pki.keys import passphrase
from sipmesh.pki.tokens.token_key import TokenKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes


def keys_below(folder: Path) -> list[Path]:
    """Give the key files in an organisation's folder, also those of the CA and of a renewal in progress."""
    patterns = ("ca/**/*.key", "servers/**/*.key", "servers/**/*.key.next", "state/*.next-key")
    return sorted(file for pattern in patterns for file in folder.glob(pattern))


def protect(keys: Iterable[Path]) -> tuple[Path, ...]:
    """Encrypt each unencrypted key with the configured passphrase; returns the files that were encrypted.

    Raises `OperatorError` if no passphrase is configured, or if a key cannot be read, or has another passphrase. Then no file
    was changed.
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
    """Give content and key of an unencrypted file; None if it is encrypted with the passphrase already, or names a token."""
    try:
        pem = file.read_bytes()
        key = files.open_key(file, pem)
    except OSError as wrong:
        problem = Problem(file, 0, "", f"cannot be read ({wrong.strerror})", "run this as the owner of the keys")
        raise OperatorError("a private key cannot be used", (problem,)) from None
    except (ValueError, UnsupportedAlgorithm):
        problem = Problem(file, 0, "", "contains no readable private key", "restore it from your backup")
        raise OperatorError("a private key cannot be used", (problem,)) from None
    return None if files.is_encrypted(pem) or isinstance(key, TokenKey) else (pem, key)


def _prepared(file: Path, pem: bytes, key: PrivateKeyTypes) -> Callable[[], None]:
    place = files.prepare(file, files.key_pem(key), files.SECRET)

    def place_over() -> None:
        if file.read_bytes() == pem:  # otherwise a server has renewed the key in the meantime
            place()

    return place_over
