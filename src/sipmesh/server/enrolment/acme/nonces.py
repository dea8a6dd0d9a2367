"""Nonces against replay (RFC 8555 6.5): each counts once, for a limited time, on the server that has given it.

To give a nonce costs no memory: it has its time and a MAC. Only used nonces are remembered, until they expire. After a
restart, and on another server of the pool, none counts: a client then tries again with the nonce in the refusal.
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
"""Used nonces that are remembered; beyond, none counts until some expire. One address has 2,400 requests in that time."""

_RANDOM, _TIME, _MAC = 12, 8, 16


class Nonces:
    """Gives nonces and uses them. *steady* returns seconds that never go back."""

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady, self._key = steady, secrets.token_bytes(32)
        self._used = dict[bytes, float]()

    def new(self) -> str:
        """Return a new nonce."""
        content = secrets.token_bytes(_RANDOM) + int(self._steady()).to_bytes(_TIME)
        return base64url.encode(content + self._mac(content))

    def use(self, nonce: object) -> bool:
        """Use a nonce; False if it is not one of ours, has expired, or was used before."""
        now = self._steady()
        try:
            octets = base64url.decode(nonce.encode()) if isinstance(nonce, str) else b""
        except ValueError:
            return False
        content, mac = octets[: _RANDOM + _TIME], octets[_RANDOM + _TIME :]
        if not hmac.compare_digest(self._mac(content), mac):
            return False
        given = int.from_bytes(content[_RANDOM:])
        if not given <= now < given + LIFETIME_S or octets in self._used or not self._has_room(now):
            return False
        self._used[octets] = given + LIFETIME_S
        return True

    def _has_room(self, now: float) -> bool:
        if len(self._used) >= MOST_USED:
            self._used = {nonce: ends for nonce, ends in self._used.items() if ends > now}
        return len(self._used) < MOST_USED

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")[:_MAC]
