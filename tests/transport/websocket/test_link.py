"""Links over secure WebSocket: over real TLS, with a client that is not our code."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import ssl
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp
import pytest
from wsproto.events import BytesMessage, CloseConnection, TextMessage

from sipmesh.errors import LocalError, RemoteError
from sipmesh.sip.message import Request
from sipmesh.transport.limits import Limits
from sipmesh.transport.link.link import Link
from sipmesh.transport.link.state import LinkState
from sipmesh.transport.websocket.link import WebSocketLink
from sipmesh.transport.websocket.upgrade import UpgradePolicy
from sipmesh.trust.evidence import LinkKind
from support.peer import HungUpError
from support.web_peer import ORIGIN, WebPeer, upgrade
from transport.websocket.test_frames import raw
from transport.world import WITHIN_S, Heard, Node, bodies, on_loop, request

if TYPE_CHECKING:
    from sipmesh.transport.accept.listener import Listener
    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority

POLICY = UpgradePolicy(frozenset({"example.test"}), frozenset({ORIGIN}))


class HeardUpgrades(Heard):
    """Records the upgrades that were refused, too."""

    def __init__(self) -> None:
        super().__init__()
        self.upgrades: list[RemoteError] = []

    def upgrade_refused(self, _link: Link, refusal: RemoteError) -> None:
        self.upgrades.append(refusal)


def listen(node: Node) -> Listener:
    listener = node.listen(LinkKind.CLIENT)
    listener.new_link = lambda: WebSocketLink(node.reactor, node.heard, lambda: POLICY)
    return listener


def answer_back(link: Link, _message: object) -> None:
    link.send(request("back"))


async def dial(node: Node, listener: Listener | None = None) -> WebPeer:
    return await WebPeer.dial((listener or listen(node)).address, "alice@example.test")


async def closed(peer: WebPeer) -> int | None:
    """Read until the end; give the code of the Close frame."""
    await peer.hung_up()
    return peer.closed


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
async def test_refused_upgrade_is_told_and_closes_the_link(ca: Authority, here: Identity) -> None:
    heard = HeardUpgrades()
    async with Node(ca, here, heard=heard) as node:
        listener = listen(node)
        with pytest.raises(HungUpError, match="403 Forbidden"):
            await WebPeer.dial(listener.address, "a@example.test", upgrade(origin="https://evil.test"))
        await heard.until(lambda: heard.down)
        assert [refusal.status for refusal in heard.upgrades] == [403]
        async with await dial(node, listener):
            await heard.until(lambda: len(heard.up) == 2)


@on_loop
async def test_nothing_is_a_message_before_the_upgrade(ca: Authority, here: Identity) -> None:
    """SIP, or a frame, without the HTTP request before it."""
    heard = HeardUpgrades()
    async with Node(ca, here, heard=heard) as node:
        listener = listen(node)
        for octets in (request("sip"), raw(1, request("frame")) + b"\r\n\r\n"):
            peer = await WebPeer.begin(listener.address, "a@example.test", octets)
            async with peer:
                with pytest.raises(HungUpError, match="400 Bad Request"):
                    await peer.upgraded()
        await heard.until(lambda: len(heard.down) == 2)
        assert (heard.messages, len(heard.upgrades)) == ([], 2)


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
async def test_frames_behind_the_request_are_read(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node:
        peer = await WebPeer.begin(listen(node).address, "a@example.test", upgrade() + raw(1, request("at once")))
        async with peer:
            await node.heard.until(lambda: node.heard.messages)
        assert bodies(node.heard) == ["at once"]


@on_loop
async def test_message_is_one_whatever_its_fragments_and_records(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node, await dial(node) as peer:
        data = peer.socket.send(TextMessage(request("in")[:50].decode(), message_finished=False))
        data += peer.socket.send(TextMessage(request("in")[50:].decode()))
        for at in range(len(data)):
            await peer.write_octets(data[at : at + 1])
        await node.heard.until(lambda: node.heard.messages)
        await peer.write_octets(peer.socket.send(BytesMessage(request("bytes"))))
        await node.heard.until(lambda: len(node.heard.messages) == 2)
        assert bodies(node.heard) == ["in", "bytes"]


@on_loop
async def test_octets_that_are_no_utf_8_arrive_in_a_binary_frame(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node, await dial(node) as peer:
        await node.heard.until(lambda: node.heard.up)
        octets = request("text").replace(b"text", b"\xff\xfe\xfd\xfc")
        node.heard.up[0].send(octets)
        assert ((await peer.receive()).body, peer.binary) == (b"\xff\xfe\xfd\xfc", 1)


@on_loop
async def test_double_crlf_is_answered_and_a_single_one_is_not(ca: Authority, here: Identity) -> None:
    """RFC 7118 section 6: the keepalive of RFC 5626, in a WebSocket message."""
    async with Node(ca, here) as node, await dial(node) as peer:
        await peer.write(b"\r\n")
        await peer.write(b"\r\n\r\n")
        while not peer.heard:
            await peer.read()
        assert bytes(peer.heard) == b"\x81\x02\r\n"
        assert node.heard.up[0].keeps_alive
        assert node.heard.messages == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (raw(1, request("unmasked"), masked=False), 1002),
        (raw(1, b"\xff"), 1007),
        (raw(1, b""), 1007),
        (raw(1, b"no SIP at all"), 1007),
        (raw(1, request("one") + request("two")), 1007),
        (raw(1, request("one") + b"more"), 1007),
        (raw(1, request("short")[:-1]), 1007),
        (raw(9) * 300, 1008),
    ],
)
@on_loop
async def test_hostile_frame_closes_with_a_code(ca: Authority, here: Identity, data: bytes, code: int) -> None:
    """The same peer's message before it arrived."""
    async with Node(ca, here) as node, await dial(node) as peer:
        await peer.write(request("good"))
        await peer.write_octets(data)
        assert await closed(peer) == code
        await node.heard.until(lambda: node.heard.down)
        assert bodies(node.heard) == ["good"]


@on_loop
async def test_message_above_the_size_is_answered_and_closes_with_too_big(ca: Authority, here: Identity) -> None:
    heard = Heard(answer=request("413"))
    async with Node(ca, here, limits=Limits(body_client_bytes=100), heard=heard) as node:
        async with await dial(node) as peer:
            await peer.write(request("x" * 100))
            await peer.write(request("x" * 101))
            assert (await peer.receive()).body == b"413"
            assert await closed(peer) == 1009
        assert (bodies(heard), [fault.status for fault in heard.faults]) == (["x" * 100], [413])


@on_loop
async def test_message_without_end_closes_before_it_fills_memory(ca: Authority, here: Identity) -> None:
    limits = Limits(body_client_bytes=1_000)
    async with Node(ca, here, limits=limits) as node, await dial(node) as peer:
        await peer.write_octets(b"\x82\xff" + struct.pack("!Q", 1 << 40) + bytes(4))
        with suppress(OSError):
            while not node.heard.down:
                await peer.write_octets(b"x" * 4_096)
                await asyncio.sleep(0)
        await node.heard.until(lambda: node.heard.down)
        assert "a message above" in node.heard.down[0][1]
        assert node.heard.up[0].bytes_in < 200_000


@on_loop
async def test_slow_message_is_closed(ca: Authority, here: Identity) -> None:
    limits = Limits(message_s=0.1, message_bytes_per_s=1_000_000)
    async with Node(ca, here, limits=limits) as node, await dial(node) as peer:
        await peer.write_octets(raw(1, b"MESSAGE", fin=False))
        assert await closed(peer) == 1008
        await node.heard.until(lambda: node.heard.down)
        assert node.heard.down[0][1] == "an incomplete message timed out"


async def ping_on(peer: WebPeer) -> None:
    """Send a Ping and read its Pong, until the server hangs up."""
    while True:
        await peer.write_octets(raw(9, b"more time"))
        await peer.read()


@on_loop
async def test_pings_between_fragments_give_a_slow_message_no_more_time(ca: Authority, here: Identity) -> None:
    limits = Limits(message_s=0.1, message_bytes_per_s=1_000_000)
    async with Node(ca, here, limits=limits) as node, await dial(node) as peer, asyncio.timeout(WITHIN_S):
        await peer.write_octets(raw(1, b"MESSAGE", fin=False))
        with pytest.raises((HungUpError, OSError)):
            await ping_on(peer)
        await node.heard.until(lambda: node.heard.down)
        assert node.heard.down[0][1] == "an incomplete message timed out"


@on_loop
async def test_pings_between_fragments_harm_no_message(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node, await dial(node) as peer:
        whole = request("forth")
        await peer.write_octets(raw(2, whole[:20], fin=False) + raw(9, b"?") + raw(0, whole[20:]))
        await node.heard.until(lambda: node.heard.messages)
        assert bodies(node.heard) == ["forth"]


@on_loop
async def test_slow_upgrade_is_closed(ca: Authority, here: Identity) -> None:
    async with Node(ca, here, limits=Limits(message_s=0.1)) as node:
        async with await WebPeer.begin(listen(node).address, "a@example.test", upgrade()[:-2]) as peer:
            await peer.hung_up()
        await node.heard.until(lambda: node.heard.down)
        assert node.heard.down[0][1] == "an incomplete message timed out"


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


async def first_link(node: Node) -> Link:
    await node.heard.until(lambda: node.heard.up)
    return node.heard.up[0]


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
async def test_link_that_is_closed_by_us_tells_no_reason_of_ours(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node, await dial(node) as peer:
        (await first_link(node)).close("a secret")
        assert await closed(peer) == 1008
        assert peer.told == ""


@on_loop
async def test_close_frame_is_answered_with_its_code(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node, await dial(node) as peer:
        await peer.write_octets(peer.socket.send(CloseConnection(1000)))
        assert await closed(peer) == 1000
        await node.heard.until(lambda: node.heard.down)


@on_loop
async def test_peer_that_goes_without_a_word_is_gone(ca: Authority, here: Identity) -> None:
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


@on_loop
async def test_link_without_a_verdict_reads_nothing(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node:
        link = WebSocketLink(node.reactor, node.heard, lambda: POLICY)
        with pytest.raises(LocalError, match="no accepted verdict"):
            link._deliver(upgrade())


@on_loop
async def test_overload_refuses_new_requests_before_they_are_parsed(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node, await dial(node) as peer:
        link = await first_link(node)
        node.reactor.overload.active, node.reactor.overload.loss = True, 1.0
        await peer.write(request("refused"))
        answer = await peer.receive()
        assert not isinstance(answer, Request)
        assert (answer.status, node.heard.messages, link.messages_in) == (503, [], 1)
        await peer.write(request("two") + request("at once"))
        assert await closed(peer) == 1007
