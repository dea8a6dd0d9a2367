"""Keepalives between servers: a peer that is silent is found out, a busy peer is not, and our own absence does not count."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import pytest

from client.clock import JumpingLoop
from sipmesh.demo.organisation import Organisation
from sipmesh.server.proxy.liveness.keepalives import LONGEST_LOOK_S, LOOK_S, SILENT
from sipmesh.server.running.running_server import RunningServer
from sipmesh.topology.server_choice import turned
from sipmesh.transport.hop import Hop
from sipmesh.transport.limits import Limits
from sipmesh.transport.link.link import PING, Link
from sipmesh.transport.tls.application_protocol import CONTROL, SIP
from sipmesh.trust.evidence import Direction, LinkKind
from support.between import BACK, THERE, Between, reach_by
from support.network import BOT, EDGE, FE1, FE2, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_jumping_loop, on_loop, until
from support.tiers import wide_after
from support.workers import give_workers

HERE = Hop(FE1, LinkKind.SERVER)
SILENCE_S = Limits().probe_s + Limits().probe_answer_s
FOUND_S = SILENCE_S + 2 * LOOK_S


@asynccontextmanager
async def split(pool: Network) -> AsyncIterator[tuple[Peer, Peer, Between]]:
    """A phone at each of two front ends, a link between the two, and what can cut it."""
    async with pool, Between(pool.address(FE2, LinkKind.SERVER)) as between:
        reach_by(pool.nodes[FE1], FE2, between)
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        assert await passes(alice, bob)
        yield alice, bob, between


async def passes(alice: Peer, bob: Peer) -> bool:
    """Whether a message from one phone gets to the other, and its answer back."""
    await alice.send(alice.request("MESSAGE", f"sip:{bob.user}"))
    await bob.reply(await bob.request_in("MESSAGE"), 200)
    return (await alice.final()).status == 200


def link_to(node: RunningServer, server: str) -> Link:
    """The link of a server to another one."""
    [link] = [link for link in node.pool.all() if link.kind is LinkKind.SERVER and server in link.names]
    return link


@pytest.mark.parametrize("directions", [(), (THERE,), (BACK,)])
@on_jumping_loop
async def test_silent_split_is_found_and_ends_with_it(pool: Network, directions: tuple[str, ...]) -> None:
    """What is under way gets its final response then, what comes after it at once, and all goes on when the split is over."""
    async with split(pool) as (alice, bob, between):
        node, told = pool.nodes[FE1], pool.told[FE1]
        between.stop(*directions)
        began = node.loop.time()
        assert (await alice.ask(alice.request("OPTIONS", "sip:bob@example.test"))).status == 480
        assert node.loop.time() - began <= FOUND_S
        assert told.last("server does not answer")["peer"] == FE2
        assert told.last("link closed")["why"] == SILENT
        began = node.loop.time()
        assert (await alice.ask(alice.request("INVITE", "sip:bob@example.test"))).status == 480
        assert node.loop.time() - began < LOOK_S
        between.go_on()
        await until(lambda: not node.outages.names)
        if directions == (BACK,):  # it had come, and only the answer was lost
            await bob.reply(await bob.request_in("OPTIONS"), 200)
        assert await passes(alice, bob)
        assert len(list(told.events("server does not answer"))) == len(list(told.events("server answers again"))) == 1


@on_jumping_loop
@pytest.mark.wide
async def test_side_that_accepted_the_link_finds_out_too(pool: Network) -> None:
    """It sends no keepalive, and misses those of the other side."""
    async with split(pool) as (_, _, between):
        mate = pool.nodes[FE2]
        link = link_to(mate, FE1)
        assert (link.direction, link.keepalives_in > 0) == (Direction.ACCEPTED, True)
        between.stop(THERE)
        await until(lambda: not link.usable)
        assert link.why == SILENT


@pytest.mark.parametrize(("busy_s", "found"), [(SILENCE_S - 2 * LOOK_S, False), (SILENCE_S + 2 * LOOK_S, True)])
@on_jumping_loop
async def test_peer_that_is_busy_for_a_while_is_not_given_up(pool: Network, busy_s: float, *, found: bool) -> None:
    async with split(pool) as (alice, bob, between):
        node = pool.nodes[FE1]
        between.stop()
        await asyncio.sleep(busy_s)
        between.go_on()
        assert bool(node.outages.started) is found
        await until(lambda: not node.outages.names)
        assert await passes(alice, bob)


@on_jumping_loop
async def test_time_in_which_we_did_not_read_ourselves_counts_against_no_peer(pool: Network) -> None:
    """Such as a turn of our own loop that took long, or a stop by SIGSTOP."""
    async with split(pool) as (alice, bob, _):
        node, loop = pool.nodes[FE1], asyncio.get_running_loop()
        assert isinstance(loop, JumpingLoop)
        before = node.liveness.now
        loop.now += 100 * SILENCE_S
        node.liveness.look()
        assert node.liveness.now - before <= LONGEST_LOOK_S
        assert await passes(alice, bob)
        assert not node.outages.started


@on_jumping_loop
async def test_quiet_link_stays_up_and_keepalives_count_as_no_messages(pool: Network) -> None:
    async with split(pool) as (alice, bob, _):
        node, mate = pool.nodes[FE1], pool.nodes[FE2]
        link, other = link_to(node, FE2), link_to(mate, FE1)
        counted = [(one.messages_in, one.messages_out) for one in (link, other)]
        before = link.bytes_in, link.bytes_out
        await asyncio.sleep(10)
        assert [(one.messages_in, one.messages_out) for one in (link, other)] == counted
        pongs, pings = link.bytes_in - before[0], link.bytes_out - before[1]
        assert 7 <= pongs // 2 <= 11
        assert pings == 2 * pongs
        assert await passes(alice, bob)


@on_jumping_loop
async def test_application_that_opens_a_link_is_not_judged_by_its_keepalives(pool: Network) -> None:
    """Asterisk sends one each 90 s. A server of ours that has sent one and stops is found out."""
    async with pool:
        bot, mate = [await pool.peer(FE1, "x", credentials=name) for name in (BOT, FE2)]
        node = pool.nodes[FE1]
        await until(lambda: all(any(name in one.names for one in node.pool.all()) for name in (BOT, FE2)))
        links = [link_to(pool.nodes[FE1], name) for name in (BOT, FE2)]
        for _ in range(3):
            await bot.write(b"\r\n\r\n")
            await asyncio.sleep(90)
        assert (links[0].usable, links[0].keepalives_in) == (True, 3)
        await mate.write(b"\r\n\r\n")
        await until(lambda: not links[1].usable)
        assert links[1].why == SILENT


class OtherMake:
    """An application that answers the first *answers* keepalives, and reads everything else."""

    def __init__(self, credentials: tuple[Path, Path], answers: int) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*credentials)
        self._answers, self.keepalives = answers, 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.address: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        while octets := await reader.read(65_536):
            if octets == b"\r\n\r\n":
                self.keepalives += 1
                if self.keepalives <= self._answers:
                    writer.write(b"\r\n")


@pytest.mark.parametrize("answers", wide_after(2, [0, 1, 3]))
@on_jumping_loop
async def test_application_is_judged_by_answers_once_it_has_answered(pool: Network, answers: int) -> None:
    """On a link to it. A keepalive of its own, which follows one of ours by chance, is no answer."""
    async with pool, OtherMake(pool.credentials(BOT), answers) as bot:
        alice = await pool.phone("alice", FE1)
        reach_by(pool.nodes[FE1], BOT, bot)
        await alice.send(alice.request("MESSAGE", f"sip:room@{BOT}"))
        await until(lambda: bot.keepalives > 0)
        link = link_to(pool.nodes[FE1], BOT)
        await asyncio.sleep(100 * SILENCE_S)
        assert (link.why == SILENT) is (answers == 3)
        assert link.usable is (answers < 3)


@pytest.mark.parametrize("is_well", [True, False])
@on_jumping_loop
@pytest.mark.wide
async def test_server_that_answers_on_another_link_is_not_considered_lost(pool: Network, *, is_well: bool) -> None:
    """One link may be cut alone. And a thief of the key of a server must not be able to have it avoided."""
    async with split(pool) as (alice, bob, between):
        node = pool.nodes[FE1]
        thief = await pool.peer(FE1, "thief", credentials=FE2)
        await until(lambda: len([one for one in node.pool.all() if FE2 in one.names]) == 2)
        [stolen] = [one for one in node.pool.all() if FE2 in one.names and one.direction is Direction.ACCEPTED]
        await thief.write(b"\r\n\r\n")
        await until(lambda: stolen.keepalives_in)
        if not is_well:
            between.stop()
        await until(lambda: not stolen.usable)
        assert stolen.why == SILENT
        await asyncio.sleep(SILENCE_S + 2 * LOOK_S)
        assert bool(node.outages.started) is not is_well
        between.go_on()
        await until(lambda: not node.outages.names)
        assert await passes(alice, bob)


@on_jumping_loop
async def test_request_goes_to_the_next_server_when_the_first_is_found_silent_and_then_at_once(
    federation: Network,
) -> None:
    """RFC 3263 section 4.3: the edge has two front ends to choose from."""
    async with federation, Between(federation.address(FE1, LinkKind.SERVER)) as between:
        edge = federation.nodes[EDGE]
        reach_by(edge, FE1, between)
        erin, bob = await federation.phone("erin", PARTNER_FE), await federation.phone("bob", FE2)
        by_fe1 = (name for name in (f"c-{number}" for number in range(99)) if turned((FE1, FE2), name)[0] == FE1)

        async def sends() -> float:
            began = edge.loop.time()
            await erin.send(erin.request("MESSAGE", "sip:bob@example.test", call_id=next(by_fe1)))
            await bob.reply(await bob.request_in("MESSAGE"), 200)
            assert (await erin.final()).status == 200
            return edge.loop.time() - began

        await sends()
        between.stop()
        assert await sends() <= FOUND_S
        assert await sends() < LOOK_S
        between.go_on()
        await until(lambda: not edge.outages.names)
        await sends()


@pytest.mark.parametrize(
    ("workers", "protocol", "ends"), [(2, CONTROL, False), (2, SIP, True), (1, CONTROL, True), (1, SIP, True)]
)
@on_loop
async def test_supervisor_that_answers_does_not_show_that_its_workers_serve(
    example: Organisation, workers: int, protocol: str, *, ends: bool
) -> None:
    """No worker listens, and each keepalive of the supervisor ended the outage: requests waited for a dial again and again."""
    give_workers(example, FE1, count=workers)
    async with Network((example,), starts=(FE2,)) as network:
        node = network.nodes[FE2]
        shown = network.credentials(FE1)
        async with await Peer.open(
            network.address(FE2, LinkKind.SERVER), credentials=shown, protocol=protocol
        ) as supervisor:
            await supervisor.ask(supervisor.request("OPTIONS", "sip:example.test"))
            node.connector.dial(node.flow_table.hop_to(FE1) or HERE)
            await until(lambda: node.outages.has(FE1))
            link = next(link for link in node.pool.all() if link.direction is Direction.ACCEPTED)
            before = link.bytes_in
            await supervisor.write(PING)
            await until(lambda: link.bytes_in > before)
            node.liveness.look()
            assert node.outages.has(FE1) is not ends
