"""Links for the control plane alone carry no request of a user, between servers of this release and of an older one.

A peer without ALPN is a server of an older release: it says nothing about its links, and understands nothing.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.sip.message import Response
from sipmesh.transport.tls.application_protocol import CONTROL, SIP
from sipmesh.trust.evidence import LinkKind
from support.answered import Phone, message
from support.managed import MGMT, Managed
from support.network import BOT, FE1, FE2, Network
from support.peer import Peer
from support.real_network import workers_at
from support.running import on_loop
from support.workers import give_workers

PONG, PONG_S = b"\r\n", 0.2
"""The answer to a keepalive (RFC 5626 4.4.1), and how often it is sent, in seconds."""


async def server_peer(network: Network, to: str, name: str, protocol: str) -> Peer:
    """A peer with the certificate of *name*, which says what its link is for."""
    peer = await Peer.open(
        network.address(to, LinkKind.SERVER), f"room@{name}", network.credentials(name), protocol=protocol
    )
    await peer.ask(peer.request("OPTIONS", "sip:example.test"))
    return peer


@pytest.mark.parametrize(("protocol", "status"), [(CONTROL, 403), (SIP, 200), ("", 200)])
@on_loop
async def test_request_on_a_control_link_is_refused_and_not_dropped(pool: Network, protocol: str, status: int) -> None:
    """Each peer that has agreed on it in the handshake; an OPTIONS for the server itself shows that the link works."""
    async with pool:
        alice = Phone(await pool.phone("alice", FE1), FE1)
        async with await server_peer(pool, FE1, FE2, protocol) as mate:
            asserted = [("p-asserted-identity", "<sip:bob@example.test>")]
            for method in ("MESSAGE", "INVITE"):
                asked = mate.request(method, "sip:alice@example.test", asserted, sender="<sip:bob@example.test>;tag=1")
                assert (await mate.ask(asked)).status == status
            ours = mate.request("OPTIONS", "sip:example.test")
            assert (await mate.ask(ours)).status == 200
        await alice.close()


@pytest.mark.parametrize(("protocol", "comes"), [(CONTROL, False), (SIP, True), ("", True)])
@on_loop
async def test_no_request_is_sent_on_a_control_link(example: Organisation, protocol: str, *, comes: bool) -> None:
    """The application accepts no connection: without another link the sender hears so at once."""
    async with Network((example,), starts=(FE1,)) as network:
        alice = Phone(await network.phone("alice", FE1), FE1)
        room = Phone(await server_peer(network, FE1, BOT, protocol), FE1)
        assert (await message(alice, room) == 200) is comes
        await room.close()
        await alice.close()


@pytest.mark.parametrize(("workers", "protocol", "comes"), [(2, "", False), (2, SIP, True), (1, "", True)])
@on_loop
async def test_link_of_a_server_with_workers_that_says_nothing_gets_no_request(
    example: Organisation, workers: int, protocol: str, *, comes: bool
) -> None:
    """It may be the link of the supervisor of an older release, which drops the response. The server opens its own link."""
    give_workers(example, FE1, count=workers)
    async with Network((example,), starts=(FE2,)) as network:
        mate = await server_peer(network, FE2, FE1, protocol)
        hop = network.nodes[FE2].flow_table.hop_to(FE1)
        assert hop is not None
        assert network.nodes[FE2].pool.has(hop) is comes
        await mate.__aexit__()


@asynccontextmanager
async def older_server(managed: Managed, name: str, of: str) -> AsyncIterator[asyncio.Queue[Peer]]:
    """The server port of *name*, which knows of no application protocol; gives each link of the server *of*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*managed.credentials(name))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(managed.organisation.root)
    came: asyncio.Queue[Peer] = asyncio.Queue()
    writers: list[asyncio.StreamWriter] = []

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if ("DNS", of) in writer.get_extra_info("peercert")["subjectAltName"]:
            came.put_nowait(Peer(reader, writer, "bob@example.test"))

    listening = await asyncio.start_server(accepted, *managed.organisation.address(name, LinkKind.SERVER), ssl=context)
    try:
        async with listening:
            yield came
    finally:
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


async def answer_keepalives(peer: Peer) -> None:
    """Show that a server lives, more often than it is asked."""
    while True:
        await peer.write(PONG)
        await asyncio.sleep(PONG_S)


@pytest.mark.wide
@on_loop
async def test_supervisor_answers_an_older_server_that_sends_requests_on_its_link(managed: Managed) -> None:
    """The older server does not know that the link is for control alone. It waited for each response without end."""
    async with managed:
        await managed.start(MGMT)
        await managed.publish(workers_at((FE1,)))
        async with older_server(managed, FE2, of=FE1) as came:
            await managed.start(FE1)
            mate = await came.get()
            alive = asyncio.create_task(answer_keepalives(mate))
            await mate.request_in("SUBSCRIBE")
            peer = await managed.phone(FE1, "alice")
            while (await peer.register()).status != 200:
                await asyncio.sleep(0)
            alice, asserted = Phone(peer, FE1), [("p-asserted-identity", "<sip:bob@example.test>")]
            await mate.send(mate.request("MESSAGE", "sip:alice@example.test", asserted))
            assert (await mate.final(method="MESSAGE")).status == 200
            await mate.send(mate.request("INVITE", "sip:alice@example.test", asserted))
            heard = [await mate.receive() for _ in range(3)]
            assert [answer.status for answer in heard if isinstance(answer, Response)] == [100, 180, 200]
            await alice.close()
            alive.cancel()
