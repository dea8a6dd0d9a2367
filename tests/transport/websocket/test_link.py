"""Links over secure WebSocket: over real TLS, with a client that is not our code."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import ssl
import struct
from typing import TYPE_CHECKING

import aiohttp

from sipmesh.transport.limits import Limits
from sipmesh.transport.link.link import Link
from sipmesh.transport.link.state import LinkState
from sipmesh.transport.websocket.link import WebSocketLink
from sipmesh.trust.evidence import LinkKind
from support.web_peer import ORIGIN, WebPeer, upgrade
from transport.websocket.web_links import answer_back, closed, dial, first_link, listen
from transport.world import Node, bodies, on_loop, request

if TYPE_CHECKING:
    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority


@on_loop
async def test_message_crosses_and_the_answer_comes_back_in_one_frame_each(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node:
        node.heard.on_message = answer_back
        async with await dial(node) as peer:
            await peer.write(request("forth"))
            answer = await peer.receive()
        (link,) = node.heard.up
        assert (bodies(node.heard), answer.body) == (["forth"], b"back")
        assert (link.port, link.kind, link.messages_in, link.messages_out) == ("websocket", LinkKind.CLIENT, 1, 1)
        assert repr(link).startswith("<Link ")


@on_loop
async def test_another_websocket_library_talks_to_us(ca: Authority, here: Identity) -> None:
    """The client of aiohttp, which negotiates everything by itself, compression among it."""
    async with Node(ca, here) as node:
        node.heard.on_message = answer_back
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host, port = listen(node).address
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                f"https://{host}:{port}/any/path?at=all",
                ssl=context,
                protocols=("chat", "sip"),
                origin=ORIGIN,
                compress=15,
            ) as socket_,
        ):
            assert (socket_.protocol, socket_.compress) == ("sip", 0)
            await socket_.send_bytes(request("forth"))
            assert (await socket_.receive_str()).encode() == request("back")
            await socket_.ping(b"there?")
            await socket_.close()
            assert socket_.close_code == 1000
        await node.heard.until(lambda: node.heard.down)
        assert node.heard.down[0][1] == "closed by the peer"


@on_loop
async def test_nothing_is_sent_before_the_upgrade(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node:
        peer = await WebPeer.begin(listen(node).address, "a@example.test", upgrade()[:-2])
        async with peer:
            await node.heard.until(lambda: node.heard.up)
            assert not node.heard.up[0].send(request("early"))
            await peer.write_octets(b"\r\n")
            await peer.upgraded()
            assert node.heard.up[0].send(request("now"))
            assert (await peer.receive()).body == b"now"


@on_loop
async def test_octets_that_are_no_utf_8_arrive_in_a_binary_frame(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node, await dial(node) as peer:
        await node.heard.until(lambda: node.heard.up)
        octets = request("text").replace(b"text", b"\xff\xfe\xfd\xfc")
        node.heard.up[0].send(octets)
        assert ((await peer.receive()).body, peer.binary) == (b"\xff\xfe\xfd\xfc", 1)


def has_more(link: Link, octets: int) -> bool:
    return link.bytes_in > octets


@on_loop
async def test_quiet_browser_is_pinged_and_stays_if_it_answers(ca: Authority, here: Identity) -> None:
    async with Node(ca, here, limits=Limits(websocket_ping_s=0.0)) as node, await dial(node) as peer:
        link = await first_link(node)
        for _ in range(2):
            answered = link.bytes_in
            link.due(node.reactor.loop.time())
            await peer.read()
            await node.heard.until(functools.partial(has_more, link, answered))
        assert bytes(peer.heard[:4]) == b"\x89\x00\x89\x00"
        assert link.usable


@on_loop
async def test_browser_that_does_not_answer_a_ping_is_closed(ca: Authority, here: Identity) -> None:
    limits = Limits(websocket_ping_s=0.0, websocket_pong_s=0.1, keepalive_s=0.2, idle_s=0.2)
    async with Node(ca, here, limits=limits) as node, await dial(node) as peer:
        link = await first_link(node)
        link.due(node.reactor.loop.time())
        link.due(node.reactor.loop.time())
        assert isinstance(link, WebSocketLink)
        await node.heard.until(lambda: node.heard.down)
        assert node.heard.down[0][1] == "no pong"
        await peer.read_all()
        assert bytes(peer.heard).startswith(b"\x89\x00\x88")


@on_loop
async def test_drained_link_writes_what_waits_and_says_going_away(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node, await dial(node) as peer:
        link = await first_link(node)
        link.send(request("last"))
        link.drain()
        assert not link.send(request("too late"))
        assert (await peer.receive()).body == b"last"
        assert await closed(peer) == 1001
        assert link.state is LinkState.CLOSED


@on_loop
async def test_link_that_we_close_gives_no_reason_of_ours(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node, await dial(node) as peer:
        (await first_link(node)).close("a secret")
        assert await closed(peer) == 1008
        assert peer.told == ""


@on_loop
async def test_peer_that_closes_without_a_close_frame_is_gone(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node:
        async with await dial(node) as peer:
            await first_link(node)
            sock = peer.tcp
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.abort()
        await node.heard.until(lambda: node.heard.down)


@on_loop
async def test_client_that_does_not_read_is_bounded(ca: Authority, here: Identity) -> None:
    limits = Limits(queue_stranger_bytes=100_000, queue_reserved_bytes=0)
    async with Node(ca, here, limits=limits) as node, await dial(node):
        link = await first_link(node)
        data = request(os.urandom(8_000).hex())
        while link.send(data):
            await asyncio.sleep(0)
        assert link.pending_out <= 100_000
        assert link.usable
