"""Fetches the certificates that sign calls of trunks: from the hosts that the topology names, outside of each decision."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from cryptography import x509

from sipmesh.server.refresh.http_fetch import FetchError
from sipmesh.topology.versions.jose import LONGEST_CHAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.server.log import Log
    from sipmesh.server.proxy.trunks.signer_chains import SignerChains
    from sipmesh.server.refresh.fetch_turns import FetchTurns
    from sipmesh.server.refresh.http_fetch import HttpFetcher

LARGEST: Final = 32_768
"""Octets of one chain in PEM."""


class SignerSources:
    """Takes each URL that *chains* wants, and gives it what the URL has; *http* decides where a name may lead.

    A trunk has its *turns*, as any partner: the slow web servers of one delay no other.
    """

    def __init__(
        self, chains: SignerChains, http: HttpFetcher, turns: FetchTurns, loop: asyncio.AbstractEventLoop, log: Log
    ) -> None:
        self._chains, self._http, self._turns, self._log = chains, http, turns, log
        self._fetches: set[asyncio.Task[None]] = set()
        self._task = loop.create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            fetch = asyncio.create_task(self._fetch(*await self._chains.wanted.get()))
            self._fetches.add(fetch)
            fetch.add_done_callback(self._fetches.discard)

    async def _fetch(self, trunk: str, url: str) -> None:
        async with self._turns.turn_of(trunk):
            self._chains.arrived(trunk, url, await self._fetched(url))

    async def _fetched(self, url: str) -> Sequence[x509.Certificate]:
        try:
            fetched = await self._http.get(url, LARGEST)
            chain = x509.load_pem_x509_certificates(fetched.body or b"")
        except (FetchError, ValueError) as wrong:
            self._log.warning("the certificate of a signer was not fetched", source=url, why=str(wrong))
            return ()
        return chain[:LONGEST_CHAIN]

    async def close(self) -> None:
        """Stop all fetching."""
        tasks = [self._task, *self._fetches]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
