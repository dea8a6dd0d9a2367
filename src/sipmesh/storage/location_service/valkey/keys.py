"""The keys of one pool in the store. Each begins with organisation and pool, so that an ACL user may have one pool only.

Every user of a Valkey may follow which keys are changed (CLIENT TRACKING BCAST): the rights on keys do not count there. So the
address of record in a key is encrypted. One address always gives one key: AES-SIV (RFC 5297) needs no random part.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import Final
from urllib.parse import quote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from sipmesh.sip import base64url

_USE: Final = b"user-key"
"""Separates this key from the other uses of the pool's key (BLAKE2 takes 8 octets)."""


class Keys:
    """All keys of *pool*, which has the *pool_key*. The part in braces keeps them on one node if the store is a cluster."""

    __slots__ = ("_cipher", "_users", "dead", "identity", "leases", "prefix", "servers")

    def __init__(self, organisation: str, pool: str, pool_key: bytes) -> None:
        self._cipher = AESSIV(blake2s(pool_key, person=_USE).digest())
        self.prefix = f"sipmesh:{{{quote(organisation, safe='')}/{pool}}}:".encode()
        self.servers = self.prefix + b"servers"
        self.leases = self.prefix + b"leases"
        self.identity = self.prefix + b"identity"
        self.dead = self.prefix + b"dead"
        self._users = self.prefix + b"aor:"

    def bindings(self, aor: str) -> bytes:
        """Give the key of the rows of an address of record."""
        return self._users + self.hidden(aor).encode()

    def hidden(self, aor: str) -> str:
        """Give the encrypted address of record, as its key has it."""
        return base64url.encode(self._cipher.encrypt(plain(aor).encode(), None))

    def aor(self, key: bytes) -> str | None:
        """Give the address of record whose rows *key* has; None for each other key, also of servers outside the pool."""
        if not key.startswith(self._users):
            return None
        try:
            return self._cipher.decrypt(base64url.decode(key[len(self._users) :]), None).decode()
        except (ValueError, InvalidTag):
            return None

    def rows_of(self, server: str) -> bytes:
        """Give the key of the addresses of record that *server* has rows of."""
        return self.prefix + b"rows:" + server.encode()


def plain(text: str) -> str:
    """Make text of a message fit for UTF-8, which has no lone surrogates; bytes that were no UTF-8 show as escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
