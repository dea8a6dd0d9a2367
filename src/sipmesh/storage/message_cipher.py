"""The encryption of the message history, by keys made from the key of the pool (``state/POOL.dialog-key``).

A copy of the database shows how many messages a user has, when, and how long they are: no text, and no name. A row counts
only at its place: a row that was moved to another user, conversation or time cannot be opened there.
"""

from __future__ import annotations

from hashlib import blake2b, blake2s
from os import urandom
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from sipmesh.sip import base64url
from sipmesh.sip.text import ascii_lower, octets_of, text_of

_USE: Final = b"history"
"""Separates these keys from the other uses of the pool's key (BLAKE2 takes 8 octets)."""

_NONCE: Final = 12
_HASH: Final = 16
_SEPARATOR: Final = b"\0"


class HistoryCipher:
    """The keys of one *pool*, which has the *pool_key*."""

    __slots__ = ("_key", "_owners", "pool")

    def __init__(self, pool: str, pool_key: bytes) -> None:
        self.pool = pool
        self._key = blake2s(pool_key, person=_USE).digest()
        self._owners = AESSIV(blake2b(_USE, key=self._key, digest_size=32).digest())

    def owner(self, aor: str) -> str:
        """Give how rows name a user: always the same, and readable with the key only."""
        return base64url.encode(self._owners.encrypt(octets_of(aor), None))

    def aor(self, owner: str) -> str:
        """Give the user of a row; "" for what this key has not encrypted."""
        try:
            return text_of(self._owners.decrypt(base64url.decode(owner.encode()), None))
        except (ValueError, InvalidTag):
            return ""

    def of(self, aor: str, account: int) -> UserCipher:
        """Give the keys of a user: a later *account* of the same name has others."""
        about = _SEPARATOR.join((octets_of(aor), str(account).encode()))
        return UserCipher(self.pool, self.owner(aor), account, blake2b(about, key=self._key, digest_size=64).digest())


class UserCipher:
    """The keys of one account of one user, made of the 64 octets *key*; *owner* is how its rows name the user."""

    __slots__ = ("_cipher", "_key", "account", "owner", "pool")

    def __init__(self, pool: str, owner: str, account: int, key: bytes) -> None:
        self.pool, self.owner, self.account = pool, owner, account
        self._cipher, self._key = AESGCM(key[:32]), key[32:]

    def conversation(self, address: str) -> bytes:
        """Give how rows name the other side of a conversation."""
        return self._hash(b"with", octets_of(ascii_lower(address)))

    def source(self, principal: str) -> bytes:
        """Give how rows name who answers for the other side: a user of ours, or a partner with all its users."""
        return self._hash(b"source", octets_of(principal))

    def key(self, message: bytes, *, is_mine: bool) -> bytes:
        """Give the key of a row, of what is the same for each copy of one *message*. A user may write to itself."""
        return self._hash(b"out" if is_mine else b"in", message)

    def _hash(self, use: bytes, what: bytes) -> bytes:
        return blake2b(what, key=self._key, person=use, digest_size=_HASH).digest()

    def sealed(self, octets: bytes, at: int, conversation: bytes) -> bytes:
        """Encrypt *octets* for their place."""
        nonce = urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, octets, _place(at, conversation))

    def opened(self, sealed: bytes, at: int, conversation: bytes) -> bytes | None:
        """Decrypt what `sealed` gave for the same place; None for anything else."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _place(at, conversation))
        except (ValueError, InvalidTag):
            return None


def _place(at: int, conversation: bytes) -> bytes:
    return at.to_bytes(8, signed=True) + conversation
