"""Kamailio, a real server of another make, federates with us: both ways, and only under its own name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from interop.kamailio import Kamailio
from sipmesh.client.agent import UserAgent
from sipmesh.client.call import IncomingCall
from sipmesh.client.judge import Trust
from sipmesh.client.outcome import Text
from sipmesh.demo.cast import Cast, write_partner_ca
from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.nameserver import NameServer
from sipmesh.demo.network import EDGE, EDGES, FE1, DemoNetwork, build_example, build_partner
from sipmesh.demo.people import connect
from sipmesh.demo.ports import free_port
from sipmesh.transport.resolver import DnsResolver
from sipmesh.trust.evidence import LinkKind

pytestmark = pytest.mark.peer("kamailio")

PATIENCE_S = 15.0


@dataclass(slots=True)
class World:
    """example.test as real processes, and the CA of a partner whose edge is Kamailio's to be."""

    network: DemoNetwork
    forge: Forge
    issuing: Forged
    partner_port: int

    def kamailio(self, *names: str) -> Kamailio:
        """An edge whose certificate carries *names*, by the partner's own CA."""
        credentials = self.forge.server(self.issuing, *names)
        edge_port = self.network.example.ports[EDGE][LinkKind.PARTNER]
        return Kamailio(
            self.network.folder / "kamailio", credentials, self.network.example.root, edge_port, self.partner_port
        )

    async def erin(self, edge: Kamailio, name: str = "partner.test") -> UserAgent:
        """A user of the partner, logged in at its Kamailio, which has to prove *name* to her."""
        root = self.issuing.issuer
        assert root is not None
        resolver = DnsResolver(self.network.dns.setting)
        agent = UserAgent("erin@partner.test", trust=Trust((root.certificate,), None), resolver=resolver)
        self.network.dns.records[name, "A"] = ["127.0.0.1"]
        await agent.connect(name, edge.client_port)
        assert (await agent.register()).ok
        return agent


@pytest.fixture(name="world")
def _world(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[World]:
    world = runner.run(_started(tmp_path_factory.mktemp("n")))  # short: sockets lie in it
    yield world
    runner.run(world.network.stop())


async def _started(folder: Path) -> World:
    forge = Forge(datetime.now(UTC))
    issuing, entry = write_partner_ca(forge, folder / "their-ca", "partner.test")
    dns = await NameServer({("sip.partner.test", "A"): ["127.0.0.1"]}).start()
    example, unused = build_example(folder), build_partner(folder / "unused")
    port = free_port()
    partner = {"domains": ["partner.test"], "edge": f"sip.partner.test:{port}", **entry}
    example.federate(EDGES, [partner])
    example.document["dns"] = {"servers": [dns.setting]}
    example.write()
    example.issue_all()
    example.add_users("alice")
    network = DemoNetwork(folder, example, unused, Cast.of(example, unused, issuing), dns)
    await network.start(FE1, EDGE)
    return World(network, forge, issuing, port)


async def message_arrives(sender: UserAgent, receiver: UserAgent) -> bool:
    outcome = await sender.message(receiver.party.aor, "across the border")
    if not outcome.ok:
        return False
    async with asyncio.timeout(PATIENCE_S):
        event = await receiver.events.get()
    return isinstance(event, Text) and event.text == "across the border"


async def call_succeeds(caller: UserAgent, callee: UserAgent) -> None:
    call = await caller.call(callee.party.aor)
    assert (await call.answered()).ok
    async with asyncio.timeout(PATIENCE_S):
        event = await callee.events.get()
        assert isinstance(event, IncomingCall)
        ended = await call.hang_up()
        assert ended is not None
        assert ended.ok
        await event.over()


@pytest.mark.wide
def test_messages_and_calls_cross_the_border_both_ways(world: World, runner: asyncio.Runner) -> None:
    async def play() -> None:
        async with (
            world.kamailio("sip.partner.test", "partner.test") as edge,
            await connect(world.network, "alice", FE1) as alice,
            await world.erin(edge) as erin,
        ):
            await alice.register()
            assert await message_arrives(alice, erin), edge.log
            assert await message_arrives(erin, alice), edge.log
            await call_succeeds(alice, erin)
            await call_succeeds(erin, alice)

    runner.run(play())


@pytest.mark.wide
def test_a_partner_under_another_name_is_refused_both_ways(world: World, runner: asyncio.Runner) -> None:
    """The same Kamailio under the same CA with one property changed: the name in its certificate."""

    async def play() -> set[str]:
        async with world.kamailio("sip.elsewhere.test") as edge:
            async with (
                await connect(world.network, "alice", FE1) as alice,
                await world.erin(edge, "sip.elsewhere.test") as erin,
            ):
                await alice.register()
                assert not await message_arrives(alice, erin)
                assert not await message_arrives(erin, alice)
            return {verdict["code"] for verdict in await world.network.ask(EDGE, "refused")}

    assert runner.run(play()) == {"name-mismatch", "partner-unknown"}
