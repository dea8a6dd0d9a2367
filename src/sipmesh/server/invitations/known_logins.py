"""Which logins were right a short time ago: this says which user a request counts against. Each login is judged all the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.server.process.http_peer import address_of
from sipmesh.sip.digest import Credentials, is_digest, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

KNOWN_S: Final = 900.0
"""Seconds for which a login is known after it was right: a ticket lasts as long."""

MOST_KNOWN: Final = 10_000
"""Logins of all addresses; the login whose last right request is the oldest makes room."""

MOST_OF_USER: Final = 32
"""Logins of one user, who would push those of others out; further logins of this user are not remembered."""

_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    user: str
    ha1: str
    until: float


class KnownLogins:
    """The logins that were right, each at the address that has shown it; *clock* returns seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[_Key, _Known] = {}  # the login whose last right request is the oldest is the first
        self._of_user = Counter[str]()

    def user(self, request: web.Request) -> str:
        """Return the user whose known login a request proves, "" for none.

        A ticket or a password is the same as before. A digest response is right: the name of a user alone proves nothing.
        """
        key, digest = _shown(request)
        known = self._known.get(key)
        if known is None or known.until <= self._clock():
            return ""
        return known.user if digest is None or verify(digest, request.method, known.ha1) else ""

    def keep(self, request: web.Request, user: str, ha1: str = "") -> None:
        """Remember the login of a request, which is that of *user*; *ha1* verifies the next digest response."""
        now = self._clock()
        key = _shown(request)[0]
        self._remove(key)
        while self._known and next(iter(self._known.values())).until <= now:
            self._remove(next(iter(self._known)))
        if self._of_user[user] >= MOST_OF_USER:
            return
        if len(self._known) >= MOST_KNOWN:
            self._remove(next(iter(self._known)))
        self._known[key] = _Known(user, ha1, now + KNOWN_S)
        self._of_user[user] += 1

    def forget(self, request: web.Request) -> None:
        """Remove the login that a request proves: it is no longer right. Who does not prove it removes nothing."""
        if self.user(request):
            self._remove(_shown(request)[0])

    def _remove(self, key: _Key) -> None:
        known = self._known.pop(key, None)
        if known is None:
            return
        self._of_user[known.user] -= 1
        if not self._of_user[known.user]:
            del self._of_user[known.user]


def _shown(request: web.Request) -> tuple[_Key, Credentials | None]:
    """Return what names the login of a request at its address, and the digest response; nothing of it is verified."""
    address, given = address_of(request), request.headers.get("Authorization", "")
    try:
        digest = Credentials.parse(given) if is_digest(given) else None
    except RemoteError:
        digest = None
    if digest is None:
        return (address, sha256(given.encode(errors="surrogateescape")).hexdigest()), None
    return (address, digest.username, digest.realm, digest.algorithm or ""), digest
