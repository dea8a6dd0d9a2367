"""Fetches the certificates that sign calls of trunks, and their CRLs, outside of each decision."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509

from sipmesh.errors import SipmeshError
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.refresh.http_fetch import FetchError
from sipmesh.topology.document.named_files.crl_cache import read_content, read_list
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.names import is_url
from sipmesh.topology.versions.jose import LONGEST_CHAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from datetime import datetime

    from sipmesh.server.log import Log
    from sipmesh.server.proxy.trunks.number_verifier import NumberVerifier
    from sipmesh.server.proxy.trunks.signer_lists import ListSource
    from sipmesh.server.refresh.fetch_turns import FetchTurns
    from sipmesh.server.refresh.http_fetch import HttpFetcher
    from sipmesh.trust.revocation.crl import RevocationList

LARGEST: Final = 32_768
"""Octets of one chain in PEM."""
LARGEST_LIST: Final = 8 << 20
"""Octets of one CRL, as by default for a partner."""
LOOK_S: Final = 5.0
"""How often it is looked which CRLs are to be read."""


class SignerSources:
    """Fetches what *numbers* wants: chains by URL, and CRLs from files and URLs; *http* decides where a name may lead.

    A trunk has its *turns*, as any partner: the slow web servers of one delay no other. *now* gives the present instant.
    """

    def __init__(
        self,
        numbers: NumberVerifier,
        http: HttpFetcher,
        turns: FetchTurns,
        loop: asyncio.AbstractEventLoop,
        now: Callable[[], datetime],
        log: Log,
    ) -> None:
        self._chains, self._lists = numbers.chains, numbers.lists
        self._http, self._turns, self._now, self._log = http, turns, now, log
        self._fetches: set[asyncio.Task[None]] = set()
        self._tasks = [loop.create_task(self._serve_chains()), loop.create_task(self._serve_lists())]

    async def _serve_chains(self) -> None:
        while True:
            self._start(self._fetch(*await self._chains.wanted.get()))

    async def _serve_lists(self) -> None:
        while True:
            for trunk, source in self._lists.due():
                self._start(self._read(trunk, source))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._lists.is_wanted.wait()
            self._lists.is_wanted.clear()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        fetch = asyncio.create_task(work)
        self._fetches.add(fetch)
        fetch.add_done_callback(self._fetches.discard)

    async def _fetch(self, trunk: str, url: str) -> None:
        async with self._turns.turn_of(trunk):
            chain = await self._fetched(url)
        self._chains.arrived(trunk, url, chain)
        self._lists.expects(trunk, chain)

    async def _read(self, trunk: str, source: ListSource) -> None:
        """Read a CRL, and keep it if it may be used; the log has each new fault once."""
        try:
            async with self._turns.turn_of(trunk):
                crl = await self._list_at(source.place)
            self._lists.arrived(trunk, source, crl, self._now())
        except (SipmeshError, UnusableFileError) as wrong:
            if self._lists.missed(trunk, source, fault=str(wrong)):
                self._log.warning("a CRL of signers was not read", trunk=trunk, source=source.place, why=str(wrong))

    async def _list_at(self, place: str) -> RevocationList:
        if not is_url(place):
            return await off_loop(read_list, Path(place), LARGEST_LIST)
        fetched = await self._http.get(place, LARGEST_LIST)
        return await off_loop(read_content, fetched.body or b"")

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
        tasks = [*self._tasks, *self._fetches]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
