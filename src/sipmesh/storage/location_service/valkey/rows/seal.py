"""The seal of what a server writes into the store: a MAC with a key of the pool, which the store does not have."""

from __future__ import annotations

from hashlib import blake2s
from hmac import compare_digest
from typing import Final

from sipmesh.sip import base64url

SEAL_BYTES: Final = 12
"""96 bits: as the MAC of a token (`routing.identity.dialog_token`)."""

PRINT_BYTES: Final = 4
"""Enough to find out that a host has the key of another pool; it proves nothing."""

_FORMAT: Final = b"print 2"
"""The number is that of the format of keys and rows: servers with another one cannot read ours, as with another key."""

_USE: Final = b"bindings"
"""Separates this key from the other uses of the pool's key (BLAKE2 takes 8 octets)."""


class Seal:
    """Seals texts with *key*, of at most 32 octets. A text is sealed for one user and one name of a row."""

    __slots__ = ("_key", "print")

    def __init__(self, key: bytes) -> None:
        self._key = blake2s(key, person=_USE).digest()
        self.print = blake2s(_FORMAT, key=self._key, digest_size=PRINT_BYTES).hexdigest()

    def of(self, aor: bytes, name: bytes, text: bytes) -> bytes:
        """Give the seal of *text* under *name* of *aor*: 16 characters."""
        parts = b"%d %d " % (len(aor), len(name)) + aor + name + text
        return base64url.encode(blake2s(parts, key=self._key, digest_size=SEAL_BYTES).digest()).encode()

    def holds(self, seal: bytes, aor: bytes, name: bytes, text: bytes) -> bool:
        """Tell whether *seal* was made with our key for exactly this."""
        return compare_digest(seal, self.of(aor, name, text))
