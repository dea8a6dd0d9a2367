"""An edge orders its certificate from a public CA, and shows it to remote users and to a partner; it renews under traffic.

The CA is Pebble. Its certificates name an OCSP responder, so the edge staples its response: the partner accepts each new
certificate at its first handshake. Two steps give it to partners: the order, then `outside.certificate` with its file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from scenarios.test_pebble_renewals import PebbleCa
from scenarios.test_revocation import credentials_of, partner_entry
from server.public_certificates.test_acme_client import window
from server.refresh.test_staple_sources import asked, serial
from sipmesh.client.agent import UserAgent
from sipmesh.pki.files import certificates_pem
from sipmesh.server.public_certificates import acme_client, public_certificate
from sipmesh.server.running.running_server import RunningServer
from sipmesh.server.service import Service
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.evidence import Direction, LinkKind
from support.network import (
    EDGE,
    EDGES,
    FE1,
    PARTNER_EDGE,
    PARTNER_EDGES,
    PARTNER_FE,
    Network,
    let_remote_users_in,
    text,
)
from support.pebble import pebble
from support.public_ca import FAILED, ISSUED, Cheat, Site, cheating
from support.publisher import Publisher
from support.running import on_loop, until
from support.service import service_here
from support.telling import Told

pytestmark = pytest.mark.peer("pebble")

RENEWALS = 3
RESPONDER = "ocsp.ca.test"


@dataclass
class World:
    """Both organisations; our edge orders from *ca*, behind the proxy *cheat*, and *theirs* is the edge of the partner."""

    network: Network
    site: Site
    ca: PebbleCa
    cheat: Cheat
    service: Service
    edge: RunningServer
    theirs: RunningServer
    told: Told
    users: tuple[UserAgent, UserAgent]
    public_root: Path
    sent: int = 0
    serials: list[int] = field(default_factory=list)

    @property
    def issued(self) -> int:
        return len(list(self.site.told.events(ISSUED)))

    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificates(self.site.file.read_bytes())[0]

    async def stapled(self) -> None:
        """Have the responder know the certificate, and the edge its response."""
        leaf = self.leaf()
        self.ca.issuing.known.append(leaf)
        assert self.service.fetching.fetcher is not None
        await self.service.fetching.fetcher.staples.poke(leaf)

    async def renewed(self) -> None:
        """The CA wants its certificate renewed now; the edge asks, and orders."""
        before = self.leaf()
        wants_renewal(self.cheat, timedelta(days=-1))
        await until(lambda: self.leaf() != before)
        wants_renewal(self.cheat, timedelta(days=10))
        await until(lambda: self.presented() == self.leaf().serial_number)
        self.serials.append(self.leaf().serial_number)
        await self.stapled()

    def presented(self) -> int:
        """What the edge presents to partners."""
        return self.edge.certificates.presented.of(LinkKind.PARTNER).leaf.serial_number

    async def talk(self) -> None:
        """Send a message in each direction, that of the partner first; the receiver has it."""
        for sender, receiver in (self.users[::-1], self.users):
            outcome = await sender.message(receiver.party.aor, "hello")
            assert outcome.ok, outcome
            assert (await text(receiver)).sender == sender.party.aor
            self.sent += 1

    async def first_contact(self) -> None:
        """The partner's edge has to ask about the CA of the certificate, once: a staple is about the leaf alone."""
        outcome = await self.users[1].message(self.users[0].party.aor, "the first")
        assert not outcome.ok
        await until(
            lambda: bool(self.ca.root.asked) and all(one.held for one in self.theirs.supplies(datetime.now(UTC)))
        )

    async def cut(self) -> None:
        """End every link between the two edges."""
        links = [link for link in self.theirs.pool.all() if link.kind is LinkKind.PARTNER]
        for link in links:
            link.drain()
        await until(lambda: all(link.state is LinkState.CLOSED for link in links))

    def seen_by_the_partner(self) -> set[int]:
        """The serial numbers that live links of the partner's edge rely on, where that edge has connected."""
        links = (one for one in self.theirs.pool.all() if one.kind is LinkKind.PARTNER and one.state is LinkState.UP)
        verdicts = [one.verdict for one in links if one.direction is Direction.OPENED]
        return {serial for verdict in verdicts if verdict is not None for _, serial in verdict.relied_on}


def wants_renewal(cheat: Cheat, begins: timedelta) -> None:
    """Let the CA say when it wants its certificate renewed; it may be asked again after a second."""
    at = datetime.now(UTC) + begins
    cheat.tampers["/draft-ietf-acme-ari"] = window(at, at + timedelta(hours=1))


def has_remote_users(network: Network) -> None:
    """The edge of example.test has remote users; the names of both edges and of the responder lead here."""
    example = network.organisations[0]
    let_remote_users_in(example)
    document: Any = example.document
    document["federation"]["networks"] = ["127.0.0.0/8"]
    network.dns.records |= {(name, "A"): ["127.0.0.1"] for name in (EDGES, PARTNER_EDGES, RESPONDER)}


def trusts(network: Network, root: x509.Certificate, publisher: Publisher) -> None:
    """The partner trusts the public CA for our edge, and asks for the status by OCSP."""
    partner = network.organisations[1]
    folder = partner.folder / "partners"
    folder.mkdir(exist_ok=True)
    (folder / "public.pem").write_bytes(certificates_pem([root]))
    urls = {"crls": [], "ocsp": [publisher.url("/ocsp")], "revocation": "ocsp"}
    partner_entry(partner).update({"anchors": ["partners/public.pem"], "client_usage": "server-ok", **urls})
    partner.write()


def shows_to_partners(network: Network) -> None:
    """The edge shows the certificate to partners, too."""
    example = network.organisations[0]
    document: Any = example.document
    servers = (server for pool in document["pools"] for server in pool["servers"])
    mine = next(server for server in servers if server["name"] == EDGE)
    files = {"certificate": f"servers/{EDGE}.acme.pem", "key": f"servers/{EDGE}.acme.key"}
    mine["outside"] = {**mine.get("outside", {}), **files}
    example.write()


@asynccontextmanager
async def world(federation: Network, folder: Path) -> AsyncIterator[World]:
    example = federation.organisations[0]
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(Publisher())
        site = Site(example, EDGE)
        has_remote_users(federation)
        url = f"http://{RESPONDER}:{publisher.port}/ocsp"
        running = await stack.enter_async_context(
            pebble(folder / "ca", certificateValidityPeriod=7776000, ocspResponderURL=url)
        )
        cheat = await stack.enter_async_context(cheating(running))
        wants_renewal(cheat, timedelta(days=10))
        ca = await PebbleCa.of(running, publisher, folder)
        trusts(federation, await running.root(), publisher)
        public_root = folder / "public.pem"
        public_root.write_bytes(certificates_pem([await running.root()]))
        federation.starts = ()
        await stack.enter_async_context(federation)
        await site.orders_from(running, directory=cheat.directory)
        for name in (FE1, PARTNER_FE):
            federation.start(name)
        service, edge = await stack.enter_async_context(service_here(example, site.told, EDGE))
        told = Told()
        _, theirs = await stack.enter_async_context(service_here(federation.organisations[1], told, PARTNER_EDGE))
        users = (await federation.agent("alice", FE1), await federation.agent("erin", PARTNER_FE))
        yield World(federation, site, ca, cheat, service, edge, theirs, told, users, public_root)


@pytest.mark.wide
@on_loop
async def test_remote_users_and_the_partner_see_the_public_certificate_and_each_renewal_refuses_nothing(
    federation: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CA is asked again at once, so that a renewal does not wait for hours."""
    for module in (acme_client, public_certificate):
        monkeypatch.setattr(module, "ASK_AGAIN", timedelta(seconds=0.2))
    monkeypatch.setattr(public_certificate, "SHORTEST_PAUSE", timedelta(seconds=0.2))
    async with world(federation, tmp_path) as here:
        first = await here.site.issued()
        assert names_of(first) == [EDGES]
        shows_to_partners(here.network)
        here.service.reload()
        await until(lambda: here.presented() == first.serial_number)
        await here.stapled()
        await shown_at_both_ports(here, first)
        await here.first_contact()
        await here.talk()
        refused = len(list(here.told.events("link refused")))
        for _ in range(RENEWALS):
            traffic = asyncio.get_running_loop().create_task(messages(here))
            await here.renewed()
            traffic.cancel()
            await asyncio.gather(traffic, return_exceptions=True)
            await here.talk()  # on the links that are up
            await here.cut()
            await here.talk()
            assert here.serials[-1] in here.seen_by_the_partner()
        assert here.issued == 1 + RENEWALS
        assert len(set(here.serials)) == RENEWALS
        assert list(here.site.told.events(FAILED)) == []
        assert len(list(here.told.events("link refused"))) == refused == 1
        await shown_at_both_ports(here, here.leaf())


async def messages(here: World) -> None:
    """Send messages without a pause until this is cancelled; none may fail."""
    while True:
        outcome = await here.users[0].message(here.users[1].party.aor, "under way")
        assert outcome.ok, outcome
        await text(here.users[1])
        here.sent += 1


async def shown_at_both_ports(here: World, leaf: x509.Certificate) -> None:
    """A client that knows the public root alone accepts the client port and, with a certificate of its own, the partner port."""
    example, partner = here.network.organisations
    chain, key = credentials_of(partner, PARTNER_EDGE)
    own = ("-cert", str(chain), "-cert_chain", str(chain), "-key", str(key))
    for kind, more in ((LinkKind.CLIENT, ()), (LinkKind.PARTNER, own)):
        out = await asked(example.ports[EDGE][kind], here.public_root, *more, name=EDGES)
        assert "Verify return code: 0 (ok)" in out, out
        assert "Cert Status: good" in out
        assert serial(leaf) in out


def names_of(leaf: x509.Certificate) -> list[str]:
    return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
