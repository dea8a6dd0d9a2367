"""What a link is for, as its opener says it in the handshake, and what each end makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sipmesh.transport.hop import Hop
from sipmesh.transport.tls.application_protocol import CONTROL, SIP, is_for_control, offered_to
from sipmesh.transport.tls.contexts import MutualContext
from sipmesh.trust.evidence import LinkKind
from support.running import on_loop
from transport.world import Node

if TYPE_CHECKING:
    import socket

    from sipmesh.transport.link.link import Link
    from sipmesh.transport.tls.contexts import Identity
    from sipmesh.transport.tls.pyopenssl import PyOpenSslTls
    from transport.authority import Authority

SERVER_HOP = Hop("fe1.example.test", LinkKind.SERVER)


@pytest.mark.parametrize(
    ("hop", "said"),
    [
        (SERVER_HOP, SIP),
        (SERVER_HOP.for_control(), CONTROL),
        (Hop("sip.partner.test", LinkKind.PARTNER), ""),
        (Hop("example.test", LinkKind.CLIENT), ""),
    ],
)
def test_opener_says_what_a_link_to_a_server_of_ours_is_for(hop: Hop, said: str) -> None:
    assert offered_to(hop) == said


@pytest.mark.parametrize(
    ("said", "processes", "is_so"),
    [(CONTROL, 1, True), (CONTROL, 3, True), (SIP, 1, False), (SIP, 3, False), ("", 1, False), ("", 3, True)],
)
def test_link_without_a_protocol_is_for_requests_only_if_its_server_is_one_process(
    said: str, processes: int, *, is_so: bool
) -> None:
    assert is_for_control(said, processes) is is_so


async def both_ends(server: Node, client: Node, hop: Hop) -> tuple[Link, Link]:
    opened = client.connector.dial(hop)
    await server.heard.until(lambda: server.heard.up and client.heard.up)
    return opened, server.heard.up[0]


@on_loop
async def test_both_ends_keep_a_control_link_from_requests(ca: Authority, here: Identity, there: Identity) -> None:
    """The pool of neither end returns it; the acceptor knows so before its first octet."""
    async with Node(ca, here) as server, Node(ca, there) as client:
        hop = client.hop("here.test", server.listen(LinkKind.SERVER))
        ends = await both_ends(server, client, hop.for_control())
        assert [(end.is_control, end.agreed_on_control, end.reserved) for end in ends] == [(True, True, True)] * 2
        assert not client.pool.has(hop)
        assert not server.pool.has(replace(hop, name="there.test"))


@on_loop
async def test_both_ends_use_another_link_for_requests(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here) as server, Node(ca, there) as client:
        hop = client.hop("here.test", server.listen(LinkKind.SERVER))
        ends = await both_ends(server, client, hop)
        assert [(end.peer.facts.protocol, end.reserved) for end in ends] == [(SIP, False)] * 2
        assert client.pool.obtain(hop) is ends[0]
        assert server.pool.obtain(replace(hop, name="there.test")) is ends[1]


class Saying:
    """A context whose links say *protocol*, for any use."""

    def __init__(self, context: MutualContext, protocol: str) -> None:
        self._context, self._protocol = context, protocol

    def opened(self, sock: socket.socket, name: str, _protocol: str = "") -> PyOpenSslTls:
        return self._context.opened(sock, name, self._protocol)


@on_loop
async def test_unknown_application_protocol_does_not_end_the_handshake(
    ca: Authority, here: Identity, there: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Node(ca, here) as server, Node(ca, there) as client:
        context = MutualContext(there, [ca.root])
        monkeypatch.setattr(client.connector, "context_for", lambda _hop: Saying(context, "h2"))
        ends = await both_ends(server, client, client.hop("here.test", server.listen(LinkKind.SERVER)))
        assert [end.peer.facts.protocol for end in ends] == ["", ""]


@on_loop
async def test_opener_knows_that_an_older_release_does_not_know_what_the_link_is_for(
    ca: Authority, here: Identity, there: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps its own requests off the link all the same, and serves those that come."""
    async with Node(ca, here) as server, Node(ca, there) as client:
        monkeypatch.setattr(client.connector, "context_for", lambda _hop: Saying(MutualContext(there, [ca.root]), ""))
        hop = client.hop("here.test", server.listen(LinkKind.SERVER))
        opened, accepted = await both_ends(server, client, hop.for_control())
        assert (opened.reserved, opened.agreed_on_control) == (True, False)
        assert not accepted.reserved
