"""Whether the CRLs that a new partner names by URL can be fetched from this machine, and can be used."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, SipmeshError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from sipmesh.server.refresh.http_fetch import HttpFetcher

CONNECT_S: Final = 3.0
WHOLE_S: Final = 10.0
"""Seconds for one URL; all are fetched at the same time."""


def faults_of(
    urls: Sequence[str], name_servers: Sequence[str], roots: Sequence[x509.Certificate], at: datetime
) -> list[str]:
    """Fetch each CRL once, and return a sentence for each that cannot be used at the instant *at*; *roots* may have signed it."""
    return asyncio.run(_faults_of(urls, name_servers, roots, at)) if urls else []


async def _faults_of(
    urls: Sequence[str], name_servers: Sequence[str], roots: Sequence[x509.Certificate], at: datetime
) -> list[str]:
    from sipmesh.server.refresh.http_fetch import FetchLimits, HttpFetcher
    from sipmesh.transport.resolver import DnsResolver, NoResolver, Resolver

    try:
        resolver: Resolver = DnsResolver(*name_servers)
    except OperatorError:  # this machine has none: then only URLs with an address can be fetched
        resolver = NoResolver()
    fetcher = HttpFetcher(resolver, FetchLimits(CONNECT_S, WHOLE_S))
    try:
        found = await asyncio.gather(*(_fault(fetcher, url, roots, at) for url in urls))
    finally:
        await fetcher.close()
    return [f"{url}: {fault}" for url, fault in zip(urls, found, strict=True) if fault]


async def _fault(fetcher: HttpFetcher, url: str, roots: Sequence[x509.Certificate], at: datetime) -> str:
    from sipmesh.topology.document.named_files.crl_cache import read_content
    from sipmesh.topology.document.named_files.crl_files import LARGEST_LIST
    from sipmesh.trust.revocation.freshness import look_at_list

    try:
        fetched = await fetcher.get(url, LARGEST_LIST)
        look_at_list(read_content(fetched.body or b""), None, roots, at=at)
    except (SipmeshError, ValueError) as wrong:
        return str(wrong)
    return ""
