"""Nonces against replay (RFC 8555 6.5): each counts once, for a limited time, on the server that has given it.

To give a nonce costs no memory: it has its time and a MAC. Used nonces are remembered by the second in which they were given,
until they expire. If there are too many, the oldest second is forgotten, and no nonce of it or before counts any more. So
strangers cannot use up the memory or the nonces of a client: if its nonce is too old, it tries again with the nonce in the
refusal. After a restart, and on another server of the pool, none counts.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Final

from sipmesh.sip import base64url

if TYPE_CHECKING:
    from collections.abc import Callable

LIFETIME_S: Final = 600
MOST_USED: Final = 50_000
"""Used nonces that are remembered. At 240 requests a minute of each address, 1,000 addresses leave a nonce 12 seconds."""

_RANDOM, _TIME, _MAC = 12, 8, 16


class Nonces:
    """Gives nonces and uses them. *steady* returns seconds that never go back."""

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady, self._key = steady, secrets.token_bytes(32)
        self._used = dict[int, set[bytes]]()
        self._oldest, self._count = 0, 0

    def new(self) -> str:
        """Return a new nonce."""
        content = secrets.token_bytes(_RANDOM) + int(self._steady()).to_bytes(_TIME)
        return base64url.encode(content + self._mac(content))

    def use(self, nonce: object) -> bool:
        """Use a nonce; False if it is not one of ours, is too old, or was used before."""
        now = int(self._steady())
        try:
            octets = base64url.decode(nonce.encode()) if isinstance(nonce, str) else b""
        except ValueError:
            return False
        content, mac = octets[: _RANDOM + _TIME], octets[_RANDOM + _TIME :]
        if not hmac.compare_digest(self._mac(content), mac):
            return False
        self._forget_before(now - LIFETIME_S + 1)
        given = int.from_bytes(content[_RANDOM:])
        if not self._oldest <= given <= now or octets in self._used.get(given, ()):
            return False
        self._used.setdefault(given, set()).add(octets)
        self._count += 1
        if self._count > MOST_USED:
            self._forget_before(min(self._used) + 1)
        return True

    def _forget_before(self, second: int) -> None:
        """Let no nonce count that was given before *second*, and forget which of them were used."""
        if second <= self._oldest:
            return
        self._oldest = second
        for past in [given for given in self._used if given < second]:
            self._count -= len(self._used.pop(past))

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")[:_MAC]
