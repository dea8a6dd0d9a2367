"""Whether CRLs can be fetched from their URLs, and used: each is fetched once, and nothing is stored."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from sipmesh.errors import SipmeshError
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.refresh.authorities import authorities_for
from sipmesh.server.refresh.http_fetch import FetchLimits, HttpFetcher
from sipmesh.server.replication.server_status import MOST_CRLS, FetchedCrl, text
from sipmesh.topology.document.named_files.crl_cache import read_content
from sipmesh.topology.document.named_files.crl_files import LARGEST_LIST
from sipmesh.trust.revocation.freshness import look_at_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from cryptography import x509

    from sipmesh.topology.reachable_addresses import ReachableAddresses
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.resolver import Resolver

CONNECT_S: float = 3.0
WHOLE_S: Final = 10.0
"""Seconds for one URL."""

LONGEST_S: float = 12.0
"""Seconds for all URLs of one check."""

MOST_AT_ONCE: Final = 4
"""Fetches at the same time: each may bring a CRL of `LARGEST_LIST` octets."""


class CrlUrl(NamedTuple):
    """A CRL of *owner*, at most *largest* octets; one of *issuers* may have signed it."""

    url: str
    owner: str
    issuers: Sequence[x509.Certificate]
    largest: int = LARGEST_LIST


async def fetched_crls(view: ServerView, resolver: Resolver, at: datetime) -> tuple[FetchedCrl, ...]:
    """Fetch each CRL that a server needs and has by URL, and say what is wrong with it at the instant *at*."""
    wanted = list(dict.fromkeys(_wanted(view)))[:MOST_CRLS]
    faults = await crl_faults(wanted, resolver, at, view.reachable)
    return tuple(
        FetchedCrl(url=text(crl.url), owner=crl.owner, fault=text(fault))
        for crl, fault in zip(wanted, faults, strict=True)
    )


def _wanted(view: ServerView) -> Iterator[CrlUrl]:
    for named in authorities_for(view.role, view.loaded):
        for entry in named.files.files:
            if entry.fetched and entry.point is None:
                yield CrlUrl(entry.name, named.owner, named.files.issuers, named.entry.largest_list)


async def crl_faults(
    crls: Sequence[CrlUrl], resolver: Resolver, at: datetime, reachable: ReachableAddresses
) -> Sequence[str]:
    """Fetch each CRL once, and say why it cannot be used at the instant *at*; empty for a CRL that can be."""
    fetcher = HttpFetcher(resolver, FetchLimits(CONNECT_S, WHOLE_S), lambda: reachable)
    free = asyncio.Semaphore(MOST_AT_ONCE)
    try:
        return await asyncio.gather(*(_fault(fetcher, free, crl, at) for crl in crls))
    finally:
        await fetcher.close()


async def _fault(fetcher: HttpFetcher, free: asyncio.Semaphore, crl: CrlUrl, at: datetime) -> str:
    try:
        async with asyncio.timeout(LONGEST_S), free:
            fetched = await fetcher.get(crl.url, crl.largest)
            await off_loop(_look, fetched.body or b"", crl.issuers, at)
    except TimeoutError:
        return f"not fetched within {LONGEST_S:g} s"
    except (SipmeshError, ValueError) as wrong:
        return str(wrong)
    return ""


def _look(body: bytes, issuers: Sequence[x509.Certificate], at: datetime) -> None:
    look_at_list(read_content(body), None, issuers, at=at)
