"""A CA of the partner that divides its CRL: each certificate names the part that it is in, and only the certificate does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from scenarios.test_revocation import Credentials, partner_entry
from server.refresh.fetched import Fetched
from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.nameserver import NameServer
from sipmesh.demo.organisation import Organisation
from sipmesh.topology.view import certificate_names
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, PARTNER_EDGE, Network
from support.publisher import Publisher, content
from trust.crls import distribution_point

HOST = "crl.partner.test"


@dataclass
class ShardedCa:
    """An issuing CA under the partner's root, or a *public* one, whose CRLs *publisher* has."""

    partner: Organisation
    publisher: Publisher
    forge: Forge = field(default_factory=lambda: Forge(datetime.now(UTC)))
    issued: int = 0
    number: int = 0
    public: bool = False

    def __post_init__(self) -> None:
        folder = self.partner.folder / "ca"
        own = self.forge.root("Public Root") if self.public else Forged.read(folder / "root.pem", folder / "root.key")
        crl = self.forge.revocations(own) if self.public else (folder / "root.crl").read_bytes()
        self.root = own
        self.publisher.pages["/root.crl"] = content(lambda: crl)
        self.issuing = self.forge.authority("Sharded CA", self.root, crl_points=(self.url("root"),))

    def url(self, shard: object, host: str = HOST) -> str:
        return f"http://{host}:{self.publisher.port}/{shard}.crl"

    def issue(self, *urls: str, **changes: Any) -> Credentials:
        """A certificate of the partner's edge that names *urls*."""
        self.issued += 1
        names = certificate_names(self.partner.load().topology, PARTNER_EDGE)
        made = self.forge.server(self.issuing, *names, crl_points=urls, **changes)
        return made.write(self.partner.folder / "sharded", f"edge-{self.issued}")

    def crl(self, *urls: str, revoked: tuple[int, ...] = (), by: Forged | None = None, **changes: Any) -> bytes:
        """The CRL whose issuingDistributionPoint has *urls*; without any, the CRL is for all certificates."""
        self.number += 1
        names = [x509.UniformResourceIdentifier(url) for url in urls]
        extensions = distribution_point(full_name=names) if urls else ()
        return self.forge.revocations(
            by or self.issuing, revoked, **{"number": self.number, "extensions": extensions, **changes}
        )

    def publish(self, shard: object, *, revoked: tuple[int, ...] = (), **changes: Any) -> str:
        """Have the CRL of *shard* at its URL, which is returned."""
        made = self.crl(self.url(shard), revoked=revoked, **changes)
        self.publisher.pages[f"/{shard}.crl"] = content(lambda: made)
        return self.url(shard)


@dataclass
class Sharded(Fetched):
    """An edge that fetches what certificates name."""

    ca: ShardedCa = None  # type: ignore[assignment]  # every scene has one
    dns: NameServer = None  # type: ignore[assignment]

    def points(self) -> list[str]:
        """The URLs that are fetched because certificates name them."""
        return [source.source for source in self.fetching.supplies(datetime.now(UTC))]

    async def fetched(self, url: str) -> None:
        """Wait for a fetch from *url*, which certificates name."""
        await self.fetching.poke(url)


@asynccontextmanager
async def sharded(
    federation: Network, *, host: str = HOST, address: str = "127.0.0.1", **entry: Any
) -> AsyncIterator[Sharded]:
    """The edge of example.test; the topology allows *host*, at *address*; *entry* changes the partner's entry."""
    example, partner = federation.organisations
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(Publisher())
        dns = await NameServer({(host, "A"): [address]}).start()
        stack.callback(dns.close)
        ca = ShardedCa(partner, publisher)
        document: Any = example.document
        document["dns"] = {"servers": [dns.setting]}
        document["federation"]["networks"] = ["127.0.0.0/8"]
        partner_entry(example).update({"crls": [], "crl_hosts": [f"{host}:{publisher.port}"], **entry})
        example.write()
        scene = Sharded(example, EDGE, LinkKind.PARTNER, publisher=publisher, ca=ca, dns=dns)
        yield await stack.enter_async_context(scene)


def serial_of(credentials: Credentials) -> int:
    """The serial number of a certificate."""
    return x509.load_pem_x509_certificates(Path(credentials[0]).read_bytes())[0].serial_number
