"""A partner whose certificates come from a CA with a divided CRL renews again and again, and no message is refused."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from scenarios.test_revocation import partner_entry
from server.refresh.sharded import HOST, ShardedCa
from sipmesh.client.agent import UserAgent
from sipmesh.demo.organisation import Organisation
from sipmesh.server.agent.probing import peer_checks
from sipmesh.server.agent.probing.peer_checks import PeerChecks
from sipmesh.server.here import here as here_of
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.server.running.running_server import RunningServer
from sipmesh.server.service import Service
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, EDGES, FE1, PARTNER_EDGE, PARTNER_EDGES, PARTNER_FE, Network, text
from support.publisher import Publisher
from support.running import on_loop, until
from support.service import service_here
from support.telling import Told

RENEWALS = 5


@dataclass
class World:
    """Both organisations; each certificate of the partner's edge is in another part of the CRL of its CA."""

    network: Network
    ca: ShardedCa
    edge: RunningServer
    partner_edge: RunningServer
    service: Service
    told: Told
    sent: int = 0
    users: tuple[UserAgent, UserAgent] = field(default=None)  # type: ignore[assignment]  # logged in before any message

    def renew(self) -> str:
        """Give the partner's edge a certificate in the next part of the CRL; returns the URL of that part."""
        url = self.ca.url(self.ca.issued + 1)
        for made, used in zip(self.ca.issue(url), self.network.credentials(PARTNER_EDGE), strict=True):
            shutil.copy(made, used)
        self.service.reload()
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
async def world(federation: Network) -> AsyncIterator[World]:
    example, partner = federation.organisations
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(Publisher())
        ca = ShardedCa(partner, publisher)
        publish(ca, partner)
        federation.dns.records |= {(name, "A"): ["127.0.0.1"] for name in (HOST, EDGES, PARTNER_EDGES)}
        partner_entry(example).update({"crls": [], "crl_hosts": [f"{HOST}:{publisher.port}"]})
        document: Any = example.document
        document["federation"]["networks"] = ["127.0.0.0/8"]
        federation.starts = ()
        await stack.enter_async_context(federation)
        for name in (FE1, PARTNER_FE):
            federation.start(name)
        told = Told()
        _, edge = await stack.enter_async_context(service_here(example, told, EDGE))
        service, theirs = await stack.enter_async_context(service_here(partner, Told(), PARTNER_EDGE))
        made = World(federation, ca, edge, theirs, service, told)
        made.users = (await federation.agent("alice", FE1), await federation.agent("erin", PARTNER_FE))
        yield made


def publish(ca: ShardedCa, partner: Organisation) -> None:
    """Publish each part of the CRL; the partner's own servers have them as files."""
    authority: Any = partner.document["authority"]
    for shard in range(1, RENEWALS + 2):
        ca.publish(shard)
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
