"""Listening sockets: no free descriptors, IPv6, closing, and addresses that are in use."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from sipmesh.errors import OperatorError
from sipmesh.transport.accept.listener import Listener
from sipmesh.transport.limits import Limits
from sipmesh.trust.evidence import LinkKind
from transport.world import Node, Peer, Spec, on_loop, request

if TYPE_CHECKING:
    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority


@on_loop
async def test_listener_pauses_without_descriptors_and_goes_on(ca: Authority, here: Identity) -> None:
    """Accept fails with EMFILE again and again: the listener pauses, and accepts the connection after the pause."""
    async with Node(ca, here, limits=Limits(accept_pause_s=0.02)) as node:
        listener = node.listen(LinkKind.SERVER)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as client:
            spare = os.dup(client.fileno())
            os.close(spare)
            resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
            try:
                client.connect(listener.address)
                await node.heard.until(lambda: not listener.accepting)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await node.heard.until(lambda: listener.handshakes == 1)
            assert listener.accepting


@pytest.mark.parametrize("kind", [LinkKind.CLIENT, LinkKind.SERVER])
@on_loop
async def test_listener_serves_ipv6(ca: Authority, here: Identity, there: Identity, kind: LinkKind) -> None:
    async with Node(ca, here) as node:
        async with await Peer.dial(node.listen(kind, "::1"), ca, there) as peer:
            await peer.send(request())
            await node.heard.until(lambda: node.heard.messages)
        assert node.heard.up[0].remote[0] == "::1"


@on_loop
async def test_address_in_use_is_an_operator_error(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node:
        taken = node.listen(LinkKind.SERVER)
        spec = Spec(LinkKind.SERVER, port=taken.port)
        with pytest.raises(OperatorError, match=f"cannot listen on 127.0.0.1 port {taken.port} for here.test"):
            Listener(node.reactor, spec, node.accepting(LinkKind.SERVER), node.heard)


@on_loop
async def test_closed_listener_ends_handshakes_and_keeps_links(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here) as node:
        listener = node.listen(LinkKind.SERVER)
        async with await Peer.dial(listener, ca, there) as peer:
            await node.heard.until(lambda: node.heard.up)
            with socket.create_connection(listener.address) as silent:
                await node.heard.until(lambda: listener.handshakes == 1)
                listener.close()
                listener.close()
                assert listener.handshakes == 0
                silent.settimeout(5)
                await peer.send(request())
                await node.heard.until(lambda: node.heard.messages)
                assert silent.recv(1) == b""
        assert node.heard.refusals == []


@pytest.mark.parametrize(("cap", "ups"), [(1, 1), (2, 2)])
@on_loop
async def test_server_above_the_link_limit_is_closed(
    ca: Authority, here: Identity, there: Identity, cap: int, ups: int
) -> None:
    async with Node(ca, here, limits=Limits(links_accepted_per_peer=cap)) as node:
        listener = node.listen(LinkKind.SERVER)
        first, second = await Peer.dial(listener, ca, there), await Peer.dial(listener, ca, there)
        async with first, second:
            await node.heard.until(lambda: len(node.heard.up) + len(node.heard.down) == 2)
        assert len(node.heard.up) == ups


@on_loop
async def test_phones_behind_one_address_wait_for_their_turn_and_none_is_reset(
    ca: Authority, here: Identity, there: Identity
) -> None:
    """Forty at once, of which four may shake hands; each comes up."""
    limits = Limits(handshakes_per_address=4, silent_per_address=2, waiting_in_all=8)
    async with Node(ca, here, limits=limits) as node:
        listener = node.listen(LinkKind.CLIENT)
        dialled = await asyncio.gather(*(Peer.dial(listener, ca) for _ in range(40)))
        await node.heard.until(lambda: len(node.heard.up) == 40)
        assert (node.heard.refusals, listener.refused, listener.waiting.size) == ([], 0, 0)
        for peer in dialled:
            peer.close()


@pytest.mark.parametrize(("slow_s", "codes", "waiting"), [(0.0, ["too-many-handshakes"], 0), (60.0, [], 1)])
@on_loop
async def test_connection_gives_way_if_it_is_slow_and_the_next_one_waits_if_it_is_not(
    ca: Authority, here: Identity, slow_s: float, codes: list[str], waiting: int
) -> None:
    async with Node(ca, here, limits=Limits(silent_per_address=1, slow_s=slow_s)) as node:
        listener = node.listen(LinkKind.CLIENT)
        address = listener.address
        with socket.create_connection(address) as first, socket.create_connection(address) as second:
            for sock in (first, second):
                sock.sendall(b"\x16")
            await node.heard.until(lambda: listener.refused + listener.waiting.size)
            assert (node.heard.codes, listener.waiting.size, listener.handshakes) == (codes, waiting, 1)


@on_loop
async def test_address_whose_peers_are_slow_fills_the_queue_for_no_other_address(
    ca: Authority, here: Identity, there: Identity
) -> None:
    """Twenty silent connections of one address, of which two may wait; a phone at another address gets in."""
    limits = Limits(silent_per_address=1, waiting_in_all=2, slow_s=0.02, handshake_s=60)
    async with Node(ca, here, limits=limits) as node:
        listener = node.listen(LinkKind.CLIENT)
        silent = [socket.create_connection(listener.address, source_address=("127.0.0.7", 0)) for _ in range(20)]
        async with await Peer.dial(listener, ca):
            await node.heard.until(lambda: node.heard.up)
        for sock in silent:
            sock.close()


@pytest.mark.parametrize("kind", [LinkKind.CLIENT, LinkKind.SERVER])
@on_loop
async def test_silent_connections_take_no_place(ca: Authority, here: Identity, there: Identity, kind: LinkKind) -> None:
    """There is one place. Three connections say nothing, and none of them is closed for the peer that speaks."""
    limits = Limits(handshakes_in_flight=1, silent_in_all=1, handshakes_per_address=1, silent_per_address=1)
    async with Node(ca, here, limits=limits) as node:
        listener = node.listen(kind)
        silent = [socket.create_connection(listener.address) for _ in range(3)]
        async with await Peer.dial(listener, ca, there):
            await node.heard.until(lambda: node.heard.up)
        assert (listener.silent.size, listener.handshakes, node.heard.codes) == (3, 3, [])
        for sock in silent:
            sock.close()


@on_loop
async def test_silent_connection_is_closed_at_the_deadline_unless_others_wait_for_a_place(
    ca: Authority, here: Identity
) -> None:
    """If all places are taken, the peers may have little processor time. So may the peer of a silent connection."""
    limits = Limits(handshake_s=0.1, silent_s=0.2, handshakes_in_flight=1, slow_s=60)
    async with Node(ca, here, limits=limits) as node:
        rooms = [False]
        listener = node.listen(LinkKind.CLIENT, has_room=lambda _site, _coming, _in_all: rooms[0])
        with socket.create_connection(listener.address), socket.create_connection(listener.address) as second:
            second.sendall(b"\x16")
            await node.heard.until(lambda: (listener.silent.size, listener.waiting.size) == (1, 1))
            silent = listener.silent.all()[0]
            listener.still_silent(silent, silent.since + 60)
            assert (node.heard.codes, listener.silent.size) == ([], 1)
            rooms[0] = True
            await node.heard.until(lambda: not listener.handshakes + listener.waiting.size)
        assert node.heard.codes == ["handshake-timeout"] * 2


@on_loop
async def test_connection_may_be_silent_for_longer_than_a_handshake_may_take(ca: Authority, here: Identity) -> None:
    """A phone may wait for its own processor. The control has begun its handshake: it has `handshake_s`, here none."""
    async with Node(ca, here, limits=Limits(handshake_s=0, silent_s=60)) as node:
        listener = node.listen(LinkKind.CLIENT)
        with socket.create_connection(listener.address), socket.create_connection(listener.address) as begun:
            await node.heard.until(lambda: listener.silent.size == 2)
            begun.sendall(b"\x16")
            await node.heard.until(lambda: node.heard.codes)
            assert (node.heard.codes, listener.silent.size) == (["handshake-timeout"], 1)


@on_loop
async def test_oldest_silent_connection_of_the_address_with_most_makes_room_in_a_full_queue(
    ca: Authority, here: Identity, there: Identity
) -> None:
    limits = Limits(waiting_in_all=3, slow_s=0, handshake_s=60)
    async with Node(ca, here, limits=limits) as node:
        listener = node.listen(LinkKind.CLIENT)
        with ExitStack() as stack:
            for last in (7, 8, 8):
                source = (f"127.0.0.{last}", 0)
                stack.enter_context(socket.create_connection(listener.address, source_address=source))
            await node.heard.until(lambda: listener.silent.size == 3)
            oldest = listener.silent.oldest("127.0.0.8")
            async with await Peer.dial(listener, ca):
                await node.heard.until(lambda: node.heard.up)
            left = listener.silent.all()
            assert (node.heard.codes, len(left), oldest in left) == (["too-many-handshakes"], 2, False)


@pytest.mark.parametrize(("kind", "bounded"), [(LinkKind.CLIENT, True), (LinkKind.SERVER, False)])
@on_loop
async def test_kernel_keeps_little_of_what_a_client_sends(
    ca: Authority, here: Identity, kind: LinkKind, *, bounded: bool
) -> None:
    async with Node(ca, here, limits=Limits(receive_client_bytes=8_192)) as node:
        sock = node.listen(kind)._sock
        assert (sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * 8_192) is bounded
