"""The certificates of those who sign calls of trunks, by URL: held in memory, and fetched elsewhere, never within a decision."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography import x509

MOST_URLS: Final = 1000
"""URLs of one trunk whose chain is kept, and those that have given none. Who calls may name a new one in each call."""
MOST_WANTED: Final = 16
"""URLs of one trunk that wait."""
NEVER: Final = float("-inf")
FRESH_S: Final = 86_400.0
AGAIN_S: Final = 30.0
"""How long a chain is used, and how long a URL that has given none is left alone."""


class SignerChains:
    """What each URL has given, for each trunk. *wanted* are the trunks and URLs to fetch. *clock* is in seconds.

    Trunks share nothing: no trunk displaces a chain that another one uses, or keeps it from being fetched.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._of_trunks: dict[str, TrunkChains] = {}
        self.wanted: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def of(self, trunk: str, url: str) -> Sequence[x509.Certificate]:
        """Give the chain at *url*, which *trunk* may have contacted; none if it has not arrived. It is then wanted."""
        chain, is_wanted = self._of_trunks.setdefault(trunk, TrunkChains()).use(url, self._clock())
        if is_wanted:
            self.wanted.put_nowait((trunk, url))
        return chain

    def arrived(self, trunk: str, url: str, chain: Sequence[x509.Certificate]) -> None:
        """Keep what *url* has given."""
        self._of_trunks.setdefault(trunk, TrunkChains()).arrived(url, tuple(chain), self._clock())


class TrunkChains:
    """What the URLs of one trunk have given: the chains, the one used last at the end, and the URLs without one."""

    __slots__ = ("_asked", "_empty", "_held")

    def __init__(self) -> None:
        self._held: dict[str, tuple[float, tuple[x509.Certificate, ...]]] = {}  # until when it is fresh
        self._empty: dict[str, float] = {}  # until when it is left alone
        self._asked: set[str] = set()

    def __len__(self) -> int:
        return len(self._held)

    def use(self, url: str, now: float) -> tuple[tuple[x509.Certificate, ...], bool]:
        """Give the chain of *url*, and whether it is to be fetched from now on."""
        fresh_until, chain = self._held.pop(url, (NEVER, ()))
        if chain:
            self._held[url] = fresh_until, chain
        is_due = now > max(fresh_until, self._empty.get(url, NEVER))
        is_wanted = is_due and url not in self._asked and len(self._asked) < MOST_WANTED
        if is_wanted:
            self._asked.add(url)
        return chain, is_wanted

    def arrived(self, url: str, chain: tuple[x509.Certificate, ...], now: float) -> None:
        """Keep the *chain* of *url*; a chain stays if nothing has come in its place."""
        self._asked.discard(url)
        self._empty.pop(url, None)
        if chain:
            self._held.pop(url, None)
            self._held[url] = now + FRESH_S, chain
        else:
            self._empty[url] = now + AGAIN_S
        for kept in (self._held, self._empty):
            if len(kept) > MOST_URLS:
                del kept[next(iter(kept))]
