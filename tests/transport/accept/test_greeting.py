"""Connections in their handshake: what they take, and who sets the pace for all."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from sipmesh.transport.limits import Limits
from sipmesh.trust.evidence import LinkKind
from transport.test_handshake import HALF_OPEN, client_hello
from transport.world import Node, Peer, on_loop

if TYPE_CHECKING:
    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority


@pytest.mark.parametrize(("said", "is_counted"), [(client_hello(), True), (HALF_OPEN, False)], ids=["whole", "half"])
@on_loop
async def test_pace_counts_a_peer_that_lost_its_place_after_its_client_hello(
    ca: Authority, here: Identity, said: bytes, *, is_counted: bool
) -> None:
    """Otherwise peers with little processor time lose their places again and again. A half-open connection sets no pace."""
    async with Node(ca, here, limits=Limits(handshake_s=0.1)) as node:
        listener = node.listen(LinkKind.CLIENT)
        with socket.create_connection(listener.address) as sock:
            sock.sendall(said)
            await node.heard.until(lambda: node.heard.codes == ["handshake-timeout"])
        assert (listener.places.pace.mean_s > 0.0) is is_counted
        assert listener.handshakes == 0


@on_loop
async def test_pace_counts_a_peer_that_gave_way_to_another(ca: Authority, here: Identity) -> None:
    async with Node(ca, here, limits=Limits(handshakes_per_address=1, slow_s=0)) as node:
        listener = node.listen(LinkKind.CLIENT)
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(socket.create_connection(listener.address)).sendall(client_hello())
            await node.heard.until(lambda: node.heard.codes and len(listener.places.shaking))
            assert node.heard.codes == ["too-many-handshakes"]
        assert listener.places.pace.mean_s > 0.0


@on_loop
async def test_patience_lets_a_slow_peer_keep_its_place(ca: Authority, here: Identity, there: Identity) -> None:
    """All have taken three seconds, so no peer is slow after two: the next one waits, and no connection is closed."""
    limits = Limits(handshakes_per_address=1, slow_s=0.01)
    async with Node(ca, here, limits=limits) as node:
        listener = node.listen(LinkKind.CLIENT)
        for _ in range(100):
            listener.places.finished(3.0)
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(socket.create_connection(listener.address)).sendall(client_hello())
            await node.heard.until(lambda: listener.waiting.size)
            greeting = listener.places.shaking.all()[0]
            began = node.reactor.loop.time()
            assert [greeting.is_slow(began + later) for later in (2.0, 60.0)] == [False, True]
            assert node.heard.codes == []
        async with await Peer.dial(listener, ca):
            await node.heard.until(lambda: node.heard.up)
