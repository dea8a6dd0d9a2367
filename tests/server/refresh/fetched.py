"""A server that fetches CRLs and OCSP responses, and their publisher.

The publisher, the CAs, the edge and the links are real; the schedule is poked and its clock set, so that no test waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from scenarios.test_revocation import Credentials, Scene, credentials_of, partner_entry
from sipmesh.demo.organisation import Organisation
from sipmesh.server.admin.expiry_warnings import stock_of
from sipmesh.server.refresh.fetcher import Fetcher
from sipmesh.topology.document.named_files.crl_files import fetched_file
from sipmesh.topology.expiry.inventory_entry import ExpiringKind
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, PARTNER_EDGE, Network
from support.publisher import Publisher, content
from support.service import service_here

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
SERVERS = (ExtendedKeyUsageOID.SERVER_AUTH,)
LISTS = ("/root.crl", "/issuing.crl")
ISSUING = "/issuing.crl"


@dataclass
class Fetched(Scene):
    """An edge that fetches, and the publisher."""

    publisher: Publisher = None  # type: ignore[assignment]  # every scene has one
    fetching: Fetcher = None  # type: ignore[assignment]  # once it runs

    async def __aenter__(self) -> Self:
        service, self.node = await self._stack.enter_async_context(
            service_here(self.organisation, self.told, self.name)
        )
        assert service.fetching.fetcher is not None
        self.fetching = service.fetching.fetcher
        return self

    async def poke(self, path: str = ISSUING) -> None:
        """Fetch from the source now."""
        await self.fetching.poke(self.publisher.url(path))

    async def have_come(self, paths: tuple[str, ...] = LISTS) -> None:
        """Wait for the fetches of the start."""
        await asyncio.gather(*(self.poke(path) for path in paths))

    def be_late(self, by: timedelta) -> None:
        """Set the edge's clock forward."""
        self.node.gatekeeper.clock = lambda: datetime.now(UTC) + by

    def held(self, path: str = ISSUING) -> bytes:
        return fetched_file(self.organisation.folder, self.publisher.url(path)).read_bytes()

    def alarms(self) -> list[Any]:
        """The sources in the inventory, for example unreachable sources."""
        entries = stock_of(self.node, self.node.gatekeeper.clock()).entries
        return [one for one in entries if one.what is ExpiringKind.SOURCE and (one.level or one.broken)]


@asynccontextmanager
async def fetching(federation: Network, **entry: Any) -> AsyncIterator[Fetched]:
    """The edge of example.test, whose partner publishes its CRLs; *entry* changes the partner's entry in our topology."""
    example, partner = federation.organisations
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(Publisher())
        for path in LISTS:
            publisher.pages[path] = content((partner.folder / "ca" / path[1:]).read_bytes)
        name_lists(example, publisher, **entry)
        yield await stack.enter_async_context(Fetched(example, EDGE, LinkKind.PARTNER, publisher=publisher))


def name_lists(example: Organisation, publisher: Publisher, **entry: Any) -> None:
    partner_entry(example).update({"crls": [publisher.url(path) for path in LISTS], **entry})
    example.write()


def credentials(federation: Network) -> Credentials:
    return credentials_of(federation.organisations[1], PARTNER_EDGE)


def ends(scene: Fetched) -> datetime:
    """Return when the CRL of the peers expires."""
    return x509.load_pem_x509_crl(scene.held()).next_update_utc or datetime.max.replace(tzinfo=UTC)
