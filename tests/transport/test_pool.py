"""Links are kept and reused by the identity they proved, never by address."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sipmesh.transport.hop import Hop
from sipmesh.transport.limits import Limits
from sipmesh.trust.evidence import HandshakeFailure, LinkKind
from transport.world import WITHIN_S, Node, Peer, bodies, dns_names, on_loop, predictable, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.transport.link.link import Link
    from sipmesh.transport.tls.contexts import Identity
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.verdict import Verdict
    from transport.authority import Authority

SERVER = LinkKind.SERVER


@on_loop
async def test_second_request_uses_the_link_of_the_first(ca: Authority, here: Identity, there: Identity) -> None:
    """This also holds while the link is still being opened."""
    async with Node(ca, here) as server, Node(ca, there) as client:
        hop = client.hop("here.test", server.listen(SERVER))
        assert not client.pool.has(hop)
        link = client.pool.obtain(hop)
        assert client.pool.has(hop)
        assert not client.pool.has(replace(hop, kind=LinkKind.PARTNER))
        assert client.pool.obtain(hop) is link
        await client.heard.until(lambda: client.heard.up)
        assert client.pool.obtain(hop) is link
        assert client.pool.by_id(link.id) is link
        assert client.pool.all() == [link]


@on_loop
async def test_link_that_the_peer_opened_is_used_for_the_identity_it_proved(
    ca: Authority, here: Identity, there: Identity
) -> None:
    """RFC 5923: the address of the hop is not used."""
    async with Node(ca, here) as server, Node(ca, there) as client:
        client.pool.obtain(client.hop("here.test", server.listen(SERVER)))
        await server.heard.until(lambda: server.heard.up)
        back = server.pool.obtain(replace(client.hop("there.test", server.listeners[0])))
        assert back is server.heard.up[0]
        back.send(request("back"))
        await client.heard.until(lambda: client.heard.messages)
        assert bodies(client.heard) == ["back"]


@on_loop
async def test_link_is_not_reused_by_address(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here) as server, Node(ca, there) as client:
        listener = server.listen(SERVER)
        link = client.pool.obtain(client.hop("here.test", listener))
        await client.heard.until(lambda: client.heard.up)
        other = client.pool.obtain(client.hop("other.test", listener))
        assert other is not link
        await client.heard.until(lambda: client.heard.down)
        assert client.heard.codes == ["name-mismatch"]


@on_loop
async def test_link_of_another_kind_is_not_reused(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here) as server, Node(ca, there) as client:
        hop = client.hop("here.test", server.listen(SERVER))
        link = client.pool.obtain(hop)
        assert client.pool.obtain(replace(hop, kind=LinkKind.PARTNER)) is not link


@on_loop
async def test_client_links_prove_no_identity_and_are_never_obtained(
    ca: Authority, here: Identity, there: Identity
) -> None:
    async with Node(ca, here) as node:
        listener = node.listen(LinkKind.CLIENT)
        async with await Peer.dial(listener, ca, there):
            await node.heard.until(lambda: node.heard.up)
            assert (node.heard.up[0].peer_name, node.heard.up[0].names) == ("", ())
            assert node.pool.obtain(node.hop("there.test", listener)) is not node.heard.up[0]


@pytest.mark.parametrize("state", ["draining", "closed"])
@on_loop
async def test_closing_link_is_not_obtained(ca: Authority, here: Identity, there: Identity, state: str) -> None:
    async with Node(ca, here) as server, Node(ca, there) as client:
        hop = client.hop("here.test", server.listen(SERVER))
        link = client.pool.obtain(hop)
        await client.heard.until(lambda: client.heard.up)
        link.drain() if state == "draining" else link.close("test")
        assert link.state.value == state
        assert client.pool.obtain(hop) is not link


@on_loop
async def test_link_past_another_goes_to_another_address_of_the_same_peer(
    ca: Authority, here: Identity, there: Identity
) -> None:
    """It is used again, and a hop with one address has no other; then the next dial of the hop is as before."""
    async with Node(ca, here) as server, Node(ca, here) as second, Node(ca, there) as client:
        addresses = tuple(node.listen(SERVER).address for node in (server, second))
        hop = Hop("here.test", SERVER, addresses)
        link = client.pool.obtain(hop)
        await client.heard.until(lambda: client.heard.up)
        past = client.pool.obtain_past(hop, link)
        await second.heard.until(lambda: second.heard.up)
        assert [link.remote, past.remote] == list(addresses)
        assert client.pool.obtain_past(hop, link) is past
        assert client.pool.obtain_past(hop, past) is link
        alone = replace(hop, addresses=addresses[:1])
        past.close("the test")
        nowhere = client.pool.obtain_past(alone, link)
        assert not nowhere.usable
        link.close("the test")
        assert client.pool.obtain(alone).usable


@on_loop
async def test_link_past_a_link_of_the_peer_avoids_its_host(ca: Authority, here: Identity, there: Identity) -> None:
    """The port of such a link is not that on which the peer listens."""
    async with Node(ca, here) as server, Node(ca, there) as client:
        listener = client.listen(SERVER)
        client.pool.obtain(client.hop("here.test", server.listen(SERVER)))
        await server.heard.until(lambda: server.heard.up)
        came = server.heard.up[0]
        assert not server.pool.obtain_past(Hop("there.test", SERVER, (listener.address,)), came).usable
        other = Hop("there.test", SERVER, (listener.address, ("127.0.0.2", listener.port)))
        assert server.pool.obtain_past(other, came).remote == ("127.0.0.2", listener.port)


@on_loop
async def test_busy_peer_gets_more_links_up_to_the_limit(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here) as server, Node(ca, there, limits=Limits(busy_bytes=99)) as client:
        hop = client.hop("here.test", server.listen(SERVER))
        links = []
        for _ in range(6):
            links.append(client.pool.obtain(hop))
            links[-1].send(b"x" * (100 + len(links)))
        assert len(set(map(id, links))) == 4
        assert links[4] is links[0]


@on_loop
async def test_rejudging_closes_the_links_that_are_refused_now_and_no_others(
    ca: Authority, here: Identity, there: Identity
) -> None:
    third = ca.issue("third.test")
    async with Node(ca, here) as server:
        listener = server.listen(SERVER)
        revoked, kept = await Peer.dial(listener, ca, there), await Peer.dial(listener, ca, third)
        client = await Peer.dial(server.listen(LinkKind.CLIENT), ca, there)
        async with revoked, kept, client:
            await server.heard.until(lambda: len(server.heard.up) == 3)
            closed = server.pool.rejudge(revoke("there.test"))
            await server.heard.until(lambda: server.heard.down)
            assert await revoked.ended() == ""
            assert [link.names for link in closed] == [("there.test",)]
            assert server.heard.down[0][1] == "no longer trusted: revoked"
            verdict = server.heard.down[0][2]
            assert verdict is not None
            assert verdict.code == "revoked"
            assert len(server.pool.all()) == 2


@on_loop
async def test_drain_returns_when_the_last_link_is_gone(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here) as node:
        await node.pool.drain()
        async with await Peer.dial(node.listen(LinkKind.CLIENT), ca, there) as peer:
            await node.heard.until(lambda: node.heard.up)
            node.heard.up[0].send(request("last"))
            await asyncio.wait_for(node.pool.drain(), WITHIN_S)
            assert await peer.receive() == request("last")
            assert await peer.ended() == ""
        assert node.pool.all() == []


@on_loop
async def test_drain_closes_links_that_are_opened_meanwhile(ca: Authority, here: Identity, there: Identity) -> None:
    """A request that is still served opens a link to the next server: that link does not keep the process running."""
    async with Node(ca, here) as server, Node(ca, there, limits=replace(Limits(), drain_s=0.05)) as client:
        port = server.listen(SERVER)
        client.pool.obtain(client.hop("here.test", port))
        await client.heard.until(lambda: client.heard.up)
        drained = client.pool.drain()
        late = client.pool.obtain(client.hop("here.test", port))
        await asyncio.wait_for(drained, WITHIN_S)
        assert late.why == "opened while the other links drained"
        assert client.pool.all() == []


def revoke(name: str) -> Callable[[Link, PeerEvidence], Verdict]:
    """A judge for which the certificate of *name* is revoked now."""

    def judge(link: Link, evidence: PeerEvidence) -> Verdict:
        revoked = name in dns_names(evidence.presented[0])
        return predictable(link, replace(evidence, failure=HandshakeFailure("revoked", "test") if revoked else None))

    return judge
