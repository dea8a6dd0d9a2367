"""A refused peer has time to read the alert, and may send meanwhile, but not without limit."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from sipmesh.transport.limits import Limits
from sipmesh.trust.evidence import LinkKind
from transport.world import Node, Peer, on_loop, request

if TYPE_CHECKING:
    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority

MORE_THAN_ALL_BUFFERS = 100_000_000


@asynccontextmanager
async def refused(ca: Authority, here: Identity, **limits: float) -> AsyncIterator[tuple[Node, Peer]]:
    """Let a peer without a certificate be refused: with TLS 1.3 it does not know of that yet."""
    async with Node(ca, here, limits=Limits(**limits)) as node:  # type: ignore[arg-type]  # some are whole numbers
        peer = await Peer.dial(node.listen(LinkKind.SERVER), ca)
        async with peer:
            await node.heard.until(lambda: node.heard.refusals)
            yield node, peer


@on_loop
async def test_alert_reaches_a_peer_that_continues_to_send(ca: Authority, here: Identity) -> None:
    async with refused(ca, here) as (node, peer):
        for _ in range(3):  # after a reset, the second send would fail, and nothing more could be read
            await peer.send(request())
        assert await peer.ended() == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
        assert (node.heard.messages, node.heard.codes) == ([], ["no-certificate"])
        assert len(node.reactor.leaving) == 1
        peer.close()
        await node.heard.until(lambda: not node.reactor.leaving)


@on_loop
async def test_peer_that_stays_is_closed_in_time(ca: Authority, here: Identity) -> None:
    async with refused(ca, here, farewell_s=0.05) as (node, peer):
        await node.heard.until(lambda: not node.reactor.leaving)
        assert await peer.ended() == "TLSV13_ALERT_CERTIFICATE_REQUIRED"


@on_loop
async def test_peer_that_sends_without_end_is_cut_off(ca: Authority, here: Identity) -> None:
    async with refused(ca, here, farewell_bytes=20_000) as (node, peer):
        with pytest.raises(OSError):  # noqa: PT011 - an error of TLS or of TCP
            await peer.send(bytes(MORE_THAN_ALL_BUFFERS))
        assert not node.reactor.leaving


@on_loop
async def test_lingering_connections_are_limited(ca: Authority, here: Identity) -> None:
    async with refused(ca, here, farewells=1) as (node, first):
        async with await Peer.dial(node.listeners[0], ca) as second:
            await node.heard.until(lambda: len(node.heard.refusals) == 2)
            assert len(node.reactor.leaving) == 1
            assert await asyncio.to_thread(is_over, second.sock)
        await first.send(request())
        assert await first.ended() == "TLSV13_ALERT_CERTIFICATE_REQUIRED"


@on_loop
async def test_lingering_connections_close_when_the_server_stops(ca: Authority, here: Identity) -> None:
    async with refused(ca, here) as (node, peer):
        for listener in node.listeners:
            listener.close()
        assert len(node.reactor.leaving) == 1
        node.reactor.close()
        assert not node.reactor.leaving
        assert await peer.ended() == "TLSV13_ALERT_CERTIFICATE_REQUIRED"


def is_over(sock: ssl.SSLSocket) -> bool:
    """Return whether the other end accepts nothing more, and answers with a reset."""
    plain = socket.socket(fileno=sock.detach())
    with plain:
        try:
            for _ in range(100):
                plain.sendall(b"\0" * 1000)
        except OSError:
            return True
    return False
