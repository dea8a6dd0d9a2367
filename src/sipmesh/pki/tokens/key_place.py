"""Where a new key is made: in the token of a key beside it, or in memory and then in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.pki.tokens.token_key import TokenKey

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sipmesh.pki.keys.algorithm import OwnKey
    from sipmesh.pki.tokens.token_uri import TokenUri


def new_key(token: TokenUri | None, label: str, algorithm: KeyAlgorithm = KeyAlgorithm.P_256) -> OwnKey:
    """Make a key in a *token*, under a *label*, or without a token in memory; raises `OperatorError`."""
    if token is None:
        return algorithm.new_key()
    if algorithm is KeyAlgorithm.ML_DSA_44:
        raise OperatorError("keys of ML-DSA-44 are not made in a token; leave out --pkcs11, or use --algorithm p-256")
    return TokenKey.generate(token, label, algorithm.curve)


def token_of(file: Path) -> TokenUri | None:
    """Return the token of the key in *file*; None if the key is in the file, or if there is none."""
    key = kept_key(file)
    return None if key is None else key.uri


def kept_key(file: Path) -> TokenKey | None:
    """Return the key in a token that *file* names, None without one. It is kept for the next certificate: it cannot be copied."""
    content = files.read_private(file) if file.exists() else b""
    return TokenKey.read(content) if TokenKey.is_in(content) else None


def in_tokens(keys: Iterable[Path]) -> dict[Path, str]:
    """Return the files of *keys* whose key is in a token, each with the token: no copy of such a file has the key."""
    found = {file: key.uri.shown for file in keys if (key := kept_key(file)) is not None}
    return dict(sorted(found.items()))
