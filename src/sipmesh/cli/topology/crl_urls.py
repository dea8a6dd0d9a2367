"""Whether the CRLs that a new partner names by URL can be fetched from this machine, and can be used."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from sipmesh.transport.resolver import Resolver


def faults_of(
    urls: Sequence[str], name_servers: Sequence[str], roots: Sequence[x509.Certificate], at: datetime
) -> list[str]:
    """Fetch each CRL once, and return a sentence for each that cannot be used at the instant *at*; *roots* may have signed it."""
    from sipmesh.server.refresh.crl_check import CrlUrl, crl_faults
    from sipmesh.topology.reachable_addresses import ReachableAddresses

    crls = [CrlUrl(url, "", roots) for url in urls]
    reachable = ReachableAddresses(hosts=frozenset(urlsplit(url).hostname or "" for url in urls))
    found = asyncio.run(crl_faults(crls, _resolver(name_servers), at, reachable)) if crls else []
    return [f"{url}: {fault}" for url, fault in zip(urls, found, strict=True) if fault]


def _resolver(name_servers: Sequence[str]) -> Resolver:
    """Return a resolver, also for a machine without one: then only URLs with an address can be fetched."""
    from sipmesh.transport.resolver import DnsResolver, NoResolver

    try:
        return DnsResolver(*name_servers)
    except OperatorError:
        return NoResolver()
