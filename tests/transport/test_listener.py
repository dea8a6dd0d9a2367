"""Listening sockets: no free descriptors, IPv6, closing, and addresses that are in use."""

from __future__ import annotations

import os
import resource
import socket
from typing import TYPE_CHECKING

import pytest

from sipmesh.errors import OperatorError
from sipmesh.transport.limits import Limits
from sipmesh.transport.listener import Listener, site_of
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
                await node.heard.until(lambda: listener.alarm)
                assert repr(listener).endswith("0 handshakes, paused>")
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await node.heard.until(lambda: listener.handshakes == 1)
            assert not listener.alarm


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


@pytest.mark.parametrize(
    ("host", "site"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("fe80::1%eth0", "fe80::/64")],
)
def test_one_ipv6_customer_counts_as_one_address(host: str, site: str) -> None:
    assert site_of(host) == site
