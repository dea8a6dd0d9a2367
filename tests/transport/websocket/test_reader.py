"""What arrives on a WebSocket: the upgrade, then frames, from a client that is not our code."""

from __future__ import annotations

import asyncio
import os
import ssl
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from wsproto.events import BytesMessage, CloseConnection, TextMessage

from sipmesh.errors import LocalError
from sipmesh.sip.message import Request
from sipmesh.transport.limits import Limits
from sipmesh.transport.link.deadlines import TOO_MANY_KEEPALIVES, LinkDeadlines
from sipmesh.transport.websocket.frames import SMALL_FRAGMENT
from sipmesh.transport.websocket.link import WebSocketLink
from sipmesh.transport.websocket.pages import Page
from sipmesh.transport.websocket.reader import WebSocketReader, most_octets
from sipmesh.transport.websocket.upgrade import MOST_OCTETS, UpgradePolicy
from sipmesh.trust.evidence import LinkKind
from support.peer import HungUpError
from support.web_peer import WebPeer, upgrade
from transport.websocket.test_announced_length import header
from transport.websocket.test_frames import raw
from transport.websocket.web_links import POLICY, HeardUpgrades, closed, dial, first_link, listen
from transport.world import WITHIN_S, Heard, Node, bodies, on_loop, request

if TYPE_CHECKING:
    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority


@on_loop
async def test_refused_upgrade_is_reported_and_closes_the_link(ca: Authority, here: Identity) -> None:
    heard = HeardUpgrades()
    async with Node(ca, here, heard=heard) as node:
        listener = listen(node)
        with pytest.raises(HungUpError, match="403 Forbidden"):
            await WebPeer.dial(listener.address, "a@example.test", upgrade(origin="https://evil.test"))
        await heard.until(lambda: heard.down)
        assert [refusal.status for refusal in heard.upgrades] == [403]
        async with await dial(node, listener):
            await heard.until(lambda: len(heard.up) == 2)


LARGE = Page("text/html", os.urandom(80_000), '"1"')
SERVES = UpgradePolicy(POLICY.hosts, POLICY.origins, {"/phone": LARGE})
ASKED = b"GET /phone HTTP/1.1\r\nHost: example.test\r\n\r\n"


@on_loop
async def test_page_comes_whole_and_the_link_ends_with_it(ca: Authority, here: Identity) -> None:
    """A request behind it is not read: neither a second page nor a WebSocket."""
    heard = HeardUpgrades()
    async with Node(ca, here, heard=heard) as node:
        listener = listen(node, SERVES)
        for behind in (b"", ASKED, upgrade() + raw(1, request("in")), b"\x00" * 20_000):
            async with await WebPeer.begin(listener.address, "a@example.test", ASKED + behind) as peer:
                with suppress(ConnectionError, ssl.SSLError):
                    await peer.read_all()
                head, _, body = bytes(peer.heard).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                assert body == LARGE.body
        await heard.until(lambda: len(heard.down) == 4)
        assert {why for _, why, _ in heard.down} == {"drained"}
        assert (heard.messages, heard.upgrades) == ([], [])
        async with await dial(node, listener):
            await heard.until(lambda: len(heard.up) == 5)


@on_loop
async def test_peer_that_reads_no_page_is_closed_in_time(ca: Authority, here: Identity) -> None:
    """A page may be larger than the queue of a stranger: all links share its octets, and it waits for a bounded time."""
    page = Page("text/html", bytes(64_000_000), '"1"')  # more than the kernel holds
    limits = Limits(drain_s=0.2, farewell_s=0.1)
    async with Node(ca, here, limits=limits) as node:
        listener = listen(node, UpgradePolicy(POLICY.hosts, POLICY.origins, {"/phone": page}))
        async with await WebPeer.begin(listener.address, "a@example.test", ASKED) as peer:
            peer._reader._transport.pause_reading()  # type: ignore[attr-defined] # asyncio has no public name for it
            await node.heard.until(lambda: node.heard.down)
            assert node.heard.down[0][1] == "drained, but the peer did not read"


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
async def test_frames_behind_the_request_are_read(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node:
        peer = await WebPeer.begin(listen(node).address, "a@example.test", upgrade() + raw(1, request("at once")))
        async with peer:
            await node.heard.until(lambda: node.heard.messages)
        assert bodies(node.heard) == ["at once"]


@on_loop
async def test_message_is_one_for_any_fragments_and_records(ca: Authority, here: Identity) -> None:
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
async def test_double_crlf_is_answered_and_a_single_one_is_not(ca: Authority, here: Identity) -> None:
    """RFC 7118 section 6: the keepalive of RFC 5626, in a WebSocket message."""
    async with Node(ca, here) as node, await dial(node) as peer:
        await peer.write(b"\r\n")
        await peer.write(b"\r\n\r\n")
        while not peer.heard:
            await peer.read()
        assert bytes(peer.heard) == b"\x81\x02\r\n"
        assert node.heard.up[0].keepalives_in
        assert node.heard.messages == []


@pytest.mark.parametrize("keepalive", [raw(9), raw(10), raw(1, b"\r\n\r\n"), raw(2, b"\r\n")])
@pytest.mark.parametrize("is_user", [False, True])
@on_loop
async def test_peer_that_sends_too_many_keepalives_is_closed(
    ca: Authority, here: Identity, keepalive: bytes, *, is_user: bool
) -> None:
    """A Ping, a Pong or a CRLF costs as much time as a request. A peer that sends as many as allowed stays up."""
    limits = Limits(keepalives_per_s=0.001, keepalives_at_once=20)
    async with Node(ca, here, limits=limits) as node:
        listener = listen(node)
        async with await dial(node, listener) as rightful, await dial(node, listener) as hostile:
            await node.heard.until(lambda: len(node.heard.up) == 2)
            for link in node.heard.up if is_user else ():
                link.authenticate()
            await hostile.write_octets(keepalive * 21)
            assert await closed(hostile) == 1008
            await node.heard.until(lambda: node.heard.down)
            assert node.heard.down[0][1] == TOO_MANY_KEEPALIVES
            await rightful.write_octets(keepalive * 20 + raw(1, request("still up")))
            await node.heard.until(lambda: node.heard.messages)
            assert (bodies(node.heard), len(node.heard.down)) == (["still up"], 1)


@on_loop
async def test_peer_that_cuts_its_messages_into_tiny_fragments_is_closed(ca: Authority, here: Identity) -> None:
    """Each costs as much time as a Ping. The control sends as many fragments, of a size that browsers and libraries use."""
    limits = Limits(keepalives_per_s=0.001, keepalives_at_once=20)
    async with Node(ca, here, limits=limits) as node:
        listener = listen(node)
        async with await dial(node, listener) as rightful, await dial(node, listener) as hostile:
            await hostile.write_octets(raw(1, b"M", fin=False) + raw(0, b"E", fin=False) * 20)
            assert await closed(hostile) == 1008
            await node.heard.until(lambda: node.heard.down)
            assert node.heard.down[0][1] == TOO_MANY_KEEPALIVES
            whole = request("x" * 21 * SMALL_FRAGMENT)
            parts = [whole[at : at + SMALL_FRAGMENT] for at in range(0, len(whole), SMALL_FRAGMENT)]
            for number, part in enumerate(parts):
                await rightful.write_octets(raw(0 if number else 1, part, fin=number == len(parts) - 1))
            await node.heard.until(lambda: node.heard.messages)
            assert (len(node.heard.messages), len(node.heard.down)) == (1, 1)


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


@pytest.mark.parametrize(("beyond", "is_open"), [(0, True), (1, False), (1 << 30, False)])
@on_loop
async def test_length_that_a_header_announces_is_refused_before_the_message(
    ca: Authority, here: Identity, beyond: int, *, is_open: bool
) -> None:
    async with Node(ca, here) as node, await dial(node) as peer:
        link = await first_link(node)
        announced = most_octets(node.reactor.limits.reading_at_first(LinkKind.CLIENT)) + beyond
        announces = header(announced)
        announced_at = link.bytes_in + len(announces)
        await peer.write_octets(announces)
        if is_open:
            await peer.write_octets(b"x")
            await node.heard.until(lambda: link.bytes_in > announced_at)
            assert link.is_open
        else:
            assert await closed(peer) == 1009
            await node.heard.until(lambda: node.heard.down)
            assert "a message above" in node.heard.down[0][1]


@pytest.mark.parametrize(("beyond", "status"), [(0, b"101"), (1, b"431"), (4_096, b"431")])
@on_loop
async def test_upgrade_beyond_its_limit_is_answered_431_also_if_it_arrives_at_once(
    ca: Authority, here: Identity, beyond: int, status: bytes
) -> None:
    async with Node(ca, here, heard=HeardUpgrades()) as node:
        room = MOST_OCTETS - len(upgrade(cookie=""))
        request = upgrade(cookie="c" * (room + beyond))
        async with await WebPeer.begin(listen(node).address, "a@example.test", request) as peer:
            assert (await peer._reader.readline()).split()[1] == status


@pytest.mark.parametrize("is_user", [False, True])
@on_loop
async def test_unfinished_message_of_a_stranger_holds_less_memory(
    ca: Authority, here: Identity, *, is_user: bool
) -> None:
    """As much as on a link over TLS: a header and a body before a login."""
    first = Limits().reading_at_first(LinkKind.CLIENT)
    begun = first.header + first.body + 100
    async with Node(ca, here) as node, await dial(node) as peer:
        link = await first_link(node)
        await peer.write(request("first"))
        await node.heard.until(lambda: node.heard.messages)
        if is_user:
            link.authenticate()
        await peer.write_octets(raw(2, b"x" * begun, fin=False))
        if is_user:
            await node.heard.until(lambda: link.bytes_in > begun)
            assert link.is_open
        else:
            assert await closed(peer) == 1009


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
async def test_pings_between_fragments_give_a_slow_message_no_further_time(ca: Authority, here: Identity) -> None:
    limits = Limits(message_s=0.1, message_bytes_per_s=1_000_000, keepalives_per_s=1e6, keepalives_at_once=1_000_000)
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


@on_loop
async def test_close_frame_is_answered_with_its_code(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node, await dial(node) as peer:
        await peer.write_octets(peer.socket.send(CloseConnection(1000)))
        assert await closed(peer) == 1000
        await node.heard.until(lambda: node.heard.down)


@on_loop
async def test_link_without_a_verdict_reads_nothing(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node:
        link = WebSocketLink(node.reactor, node.heard, lambda: POLICY)
        reader = WebSocketReader(
            node.reactor, node.heard, LinkDeadlines(Limits(), link.kind, link.direction, 0.0), lambda: POLICY
        )
        with pytest.raises(LocalError, match="no accepted verdict"):
            reader.deliver(link, upgrade())


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
