"""The encryption of files that users send, by keys made from the token in the link of each file.

The database has a hash of the token, and no key. So a copy of it shows who has sent how many octets and when: no name of a file
and no content. Who has the link, as the messages have it, can read that file.
"""

from __future__ import annotations

import re
from hashlib import blake2s
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sipmesh.sip import base64url

ENTROPY: Final = 32
"""Octets of randomness in a token."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_ABOUT: Final = (1 << 32) - 1
"""The place of name and type of a file; its parts have those from 0."""


class FileCipher:
    """The keys of one file, by its *token*; *id* is how rows name the file."""

    __slots__ = ("_cipher", "id", "token")

    def __init__(self, token: str) -> None:
        self.token = token
        self.id = blake2s(token.encode(), person=b"file-id", digest_size=16).hexdigest()
        self._cipher = AESGCM(blake2s(token.encode(), person=b"file-key").digest())

    def __repr__(self) -> str:
        return f"<FileCipher of {self.id}>"

    def sealed(self, octets: bytes, number: int = _ABOUT) -> bytes:
        """Encrypt the part *number* of the file, by default its name and type. Each place is written once."""
        return self._cipher.encrypt(_nonce(number), octets, None)

    def opened(self, sealed: bytes, number: int = _ABOUT) -> bytes | None:
        """Decrypt what `sealed` gave for the same place; None for anything else."""
        try:
            return self._cipher.decrypt(_nonce(number), sealed, None)
        except (ValueError, InvalidTag):
            return None


def new_file(entropy: bytes) -> FileCipher:
    """Return the keys of a new file with a token of `ENTROPY` octets."""
    return FileCipher(base64url.encode(entropy))


def is_token(text: str) -> bool:
    """Tell whether *text* has the form of a token."""
    return _TOKEN.fullmatch(text) is not None


def _nonce(number: int) -> bytes:
    """Return the nonce of a place: each key is for one file, so that a place needs no randomness."""
    return number.to_bytes(12)
