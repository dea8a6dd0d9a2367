"""A partner whose certificates come from a CA with a divided CRL renews again and again, and no message is refused.

The CA issues by itself, or by ACME: then Pebble takes the orders of lego and validates the names, and the certificate is that of
the CA. Pebble itself names no CRL.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scenarios.test_revocation import Credentials, partner_entry
from server.refresh.sharded import HOST, ShardedCa
from sipmesh.client.agent import UserAgent
from sipmesh.demo.organisation import Organisation
from sipmesh.server.agent.probing import peer_checks
from sipmesh.server.agent.probing.peer_checks import PeerChecks
from sipmesh.server.here import here as here_of
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.server.running.running_server import RunningServer
from sipmesh.server.service import Service
from sipmesh.topology.view import certificate_names
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.evidence import LinkKind
from support.enrolling import run
from support.network import EDGE, EDGES, FE1, PARTNER_EDGE, PARTNER_EDGES, PARTNER_FE, Network, text
from support.pebble import pebble
from support.public_ca import Cheat, cheating
from support.publisher import Publisher
from support.running import on_loop, until
from support.service import service_here
from support.telling import Told

RENEWALS = 5
PAIR = ("servers/edge-outside.pem", "servers/edge-outside.key")


@dataclass
class World:
    """Both organisations; each certificate of the partner's edge is in another part of the CRL of its CA.

    The edge has it for all links, or that of a public CA for partners alone, in the files that are *shown*.
    """

    network: Network
    ca: ShardedCa
    edge: RunningServer
    partner_edge: RunningServer
    service: Service
    told: Told
    shown: Credentials | None = None
    sent: int = 0
    users: tuple[UserAgent, UserAgent] = field(default=None)  # type: ignore[assignment]  # logged in before any message

    def renew(self) -> str:
        """Give the partner's edge a certificate in the next part of the CRL; returns the URL of that part."""
        url = self.ca.url(self.ca.issued + 1)
        self.use(self.ca.issue(url))
        return url

    def use(self, credentials: Credentials) -> None:
        """Put the chain and the key of the partner's edge into place."""
        for made, used in zip(credentials, self.shown or self.network.credentials(PARTNER_EDGE), strict=True):
            shutil.copy(made, used)
        self.service.reload()

    async def order(self, cheat: Cheat, folder: Path) -> str:
        """Have lego order the next certificate, for the names of the partner's edge, and use it; returns the URL of its part."""
        self.ca.issued += 1
        url = self.ca.url(self.ca.issued)
        cheat.tampers["/certZ"] = cheat.issues(lambda wish: replace(wish, crl_points=(url,)), by=self.ca.issuing)
        names = certificate_names(self.network.organisations[1].load().topology, PARTNER_EDGE)
        domains = [part for name in names for part in ("--domains", name)]
        where, running = folder / f"lego-{self.ca.issued}", cheat.pebble
        where.mkdir(parents=True)
        command = [
            "lego",
            "--server",
            cheat.directory,
            "--accept-tos",
            "--email",
            "ops@partner.test",
            "--path",
            str(where),
        ]
        command += [*domains, "--http", "--http.port", f"127.0.0.1:{running.http_port}", "run"]
        code, out = await run(*command, cwd=where, LEGO_CA_CERTIFICATES=str(running.web_root))
        assert code == 0, out
        chain = where / "certificates" / f"{names[0]}.crt"
        self.use((chain, chain.with_suffix(".key")))
        return url

    async def cut(self) -> None:
        """End every link between the two edges, as after a restart of the network between them."""
        links = [link for link in self.edge.pool.all() if link.kind is LinkKind.PARTNER]
        for link in links:
            link.drain()
        await until(lambda: all(link.state is LinkState.CLOSED for link in links))

    async def talk(self) -> None:
        """Send a message in each direction; the receiver has it."""
        for sender, receiver in (self.users, self.users[::-1]):
            outcome = await sender.message(receiver.party.aor, "hello")
            assert outcome.ok, outcome
            assert (await text(receiver)).sender == sender.party.aor
            self.sent += 1

    @property
    def refused(self) -> int:
        """How many links our edge has refused."""
        return len(list(self.told.events("link refused")))


@asynccontextmanager
async def world(federation: Network, shown: Credentials | None = None) -> AsyncIterator[World]:
    example, partner = federation.organisations
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(Publisher())
        ca = ShardedCa(partner, publisher, public=shown is not None)
        publish(ca, partner)
        federation.dns.records |= {(name, "A"): ["127.0.0.1"] for name in (HOST, EDGES, PARTNER_EDGES)}
        partner_entry(example).update({"crls": [], "crl_hosts": [f"{HOST}:{publisher.port}"]})
        if ca.public:
            ca.root.write(example.folder / "partners", "public")
            partner_entry(example).update({"anchors": ["partners/public.pem"], "client_usage": "server-ok"})
        document: Any = example.document
        document["federation"]["networks"] = ["127.0.0.0/8"]
        federation.starts = ()
        await stack.enter_async_context(federation)
        for name in (FE1, PARTNER_FE):
            federation.start(name)
        told = Told()
        _, edge = await stack.enter_async_context(service_here(example, told, EDGE))
        service, theirs = await stack.enter_async_context(service_here(partner, Told(), PARTNER_EDGE))
        made = World(federation, ca, edge, theirs, service, told, shown)
        made.users = (await federation.agent("alice", FE1), await federation.agent("erin", PARTNER_FE))
        yield made


def publish(ca: ShardedCa, partner: Organisation) -> None:
    """Publish each part of the CRL; the partner's own servers have those of its own CA as files."""
    authority: Any = partner.document["authority"]
    for shard in range(1, RENEWALS + 2):
        ca.publish(shard)
        if ca.public:
            continue
        name = f"ca/shard-{shard}.crl"
        (partner.folder / name).write_bytes(ca.crl(ca.url(shard)))
        authority["crls"].append(name)


@on_loop
async def test_five_renewals_with_a_probe_refuse_no_message_and_no_link_of_the_partner(
    federation: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduled probe has seen each new certificate before the partner connects with it."""
    for pause in ("FIRST_S", "AGAIN_S"):
        monkeypatch.setattr(peer_checks, pause, 0.0)
    monkeypatch.setitem(peer_checks.EVERY_S, PeerKind.PARTNER, 0.0)
    async with world(federation) as here:
        edge = here.edge
        checks = PeerChecks(edge, here_of(edge.view), edge.pool.dial, lambda: None, edge.loop)
        here.renew()
        await settled(here, checks)
        for _ in range(RENEWALS):
            await here.talk()
            url = here.renew()
            await here.talk()  # on the links that are up
            await settled(here, checks, url)
            refused = here.refused
            await here.cut()
            await here.talk()
            assert here.refused == refused
        checks.close()
        assert here.sent == 6 * RENEWALS


@pytest.mark.wide
@pytest.mark.peer("pebble")
@pytest.mark.peer("lego")
@on_loop
async def test_five_renewals_by_acme_refuse_no_message_and_no_link_of_the_partner(
    federation: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificates are for serverAuth alone, as those of public CAs are. Messages go on during each order."""
    for pause in ("FIRST_S", "AGAIN_S"):
        monkeypatch.setattr(peer_checks, pause, 0.0)
    monkeypatch.setitem(peer_checks.EVERY_S, PeerKind.PARTNER, 0.0)
    async with (
        world(federation, for_partners(federation)) as here,
        pebble(tmp_path / "pebble") as running,
        cheating(running) as cheat,
    ):
        edge = here.edge
        checks = PeerChecks(edge, here_of(edge.view), edge.pool.dial, lambda: None, edge.loop)
        urls = [await here.order(cheat, tmp_path)]
        await settled(here, checks, urls[0])
        await here.cut()
        await here.talk()
        for _ in range(RENEWALS):
            async with asyncio.TaskGroup() as group:
                traffic = group.create_task(messages(here))
                urls.append(await here.order(cheat, tmp_path))
                await settled(here, checks, urls[-1])
                traffic.cancel()
            refused = here.refused  # the first probe of each certificate is refused, as its CRL is not there yet
            await here.cut()
            await here.talk()
            assert here.refused == refused
        checks.close()
        assert len(set(urls)) == len(cheat.requests) == RENEWALS + 1
        assert here.sent > 4 * RENEWALS


def for_partners(federation: Network) -> Credentials:
    """Have the partner's edge show partners a certificate in files of its own, which are returned; first that which it has."""
    partner = federation.organisations[1]
    document: Any = partner.document
    servers = (server for pool in document["pools"] for server in pool["servers"])
    mine = next(server for server in servers if server["name"] == PARTNER_EDGE)
    mine["outside"] = {**mine.get("outside", {}), "certificate": PAIR[0], "key": PAIR[1]}
    made = partner.folder / PAIR[0], partner.folder / PAIR[1]
    for present, file in zip(federation.credentials(PARTNER_EDGE), made, strict=True):
        shutil.copy(present, file)
    return made


async def messages(here: World) -> None:
    """Send messages without a pause until this is cancelled; none may fail."""
    while True:
        await here.talk()


async def settled(here: World, checks: PeerChecks, url: str = "") -> None:
    """Probe until the CRL of the partner's certificate is in force, and a probe is accepted."""

    def is_accepted() -> bool:
        checks.tick()
        fetched = [source for source in here.edge.outside.sources.supplies(here.edge.gatekeeper.clock()) if source.held]
        return not checks.faults and (url in {source.source for source in fetched} if url else bool(fetched))

    await until(is_accepted)


@on_loop
async def test_renewal_without_a_probe_costs_one_refused_handshake(federation: Network) -> None:
    async with world(federation) as here:
        for _ in range(RENEWALS):
            refused, url = here.refused, here.renew()
            await here.cut()
            erin, alice = here.users[1], here.users[0]
            await erin.message(alice.party.aor, "the first may fail")
            await until(partial(has, here, url))
            await here.talk()
            assert here.refused - refused == 1


def has(here: World, url: str) -> bool:
    """Tell whether our edge has the CRL of *url*."""
    supplies = here.edge.outside.sources.supplies(here.edge.gatekeeper.clock())
    return any(source.source == url and source.held for source in supplies)
