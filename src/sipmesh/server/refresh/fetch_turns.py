"""Which fetches run at the same time: a few of each owner, so that the slow servers of one partner delay no other partner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

MOST_OF_OWNER: Final = 2
"""Fetches of one partner, or of our own authority, at the same time: often there are two CRLs."""

MOST_OF_PARTNERS: Final = 8
"""Fetches of all partners at the same time: each may bring a large CRL."""


class FetchTurns:
    """Gives each owner few fetches at a time, and all partners together `MOST_OF_PARTNERS`, in the order of their requests.

    A partner chooses how many fetches it causes, since each of its certificates may need an OCSP response. It also chooses how
    long each of them takes. So another partner waits for few fetches of each other owner, and never for all of them. Our own
    authority, whose owner is "", waits for no partner.
    """

    def __init__(self) -> None:
        self._of_owner: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._of_partners = asyncio.Semaphore(MOST_OF_PARTNERS)

    @asynccontextmanager
    async def turn_of(self, owner: str) -> AsyncIterator[None]:
        """Wait for the turn of *owner*; the turn ends with the block."""
        own = self._of_owner.setdefault(owner, asyncio.Semaphore(MOST_OF_OWNER))
        async with own:
            if not owner:
                yield
                return
            async with self._of_partners:
                yield
