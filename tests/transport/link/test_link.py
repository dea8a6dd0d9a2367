"""Links that are up: messages, keepalives, limits, deadlines and ends."""

from __future__ import annotations

import gc
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sipmesh.errors import LocalError
from sipmesh.transport.limits import Limits
from sipmesh.transport.link.deadlines import DOES_NOT_READ
from sipmesh.transport.link.link import Link
from sipmesh.transport.link.state import LinkState
from sipmesh.transport.tls.pyopenssl import PyOpenSslTls
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind, PeerEvidence
from transport.world import Node, bodies, both_ports, on_loop, predictable, refused_dial, request, up

if TYPE_CHECKING:
    from sipmesh.sip.message import Request, Response
    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority

UNBOUNDED = Limits(queue_stranger_bytes=1 << 26, queue_client_bytes=1 << 26, queue_server_bytes=1 << 26)


@both_ports
@on_loop
async def test_message_crosses_a_link_and_the_answer_comes_back(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    async with Node(ca, here) as server, Node(ca, there) as client:
        server.heard.on_message = lambda link, _message: answer_with(link, request("back"))
        link = client.pool.obtain(client.hop("here.test", server.listen(kind)))
        link.send(request("forth"))
        assert link.state is LinkState.CONNECTING
        await client.heard.until(lambda: client.heard.messages)
        assert (bodies(server.heard), bodies(client.heard)) == (["forth"], ["back"])
        assert link.peer.confirmed
        assert (link.state, link.messages_out, link.messages_in) == (LinkState.UP, 1, 1)


@both_ports
@on_loop
async def test_all_that_is_sent_in_one_turn_leaves_in_one_record(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    async with Node(ca, here) as node:
        link, peer = await up(node, there, kind)
        async with peer:
            for text in ("one", "two", "three"):
                link.send(request(text))
            assert await peer.receive() == request("one") + request("two") + request("three")


@both_ports
@on_loop
async def test_answer_to_a_single_message_is_written_at_once(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    async with Node(ca, here) as node:
        link, peer = await up(node, there, kind)
        waiting = answers_that_wait(node)
        async with peer:
            for text in ("one", "two"):
                peer.sock.sendall(request(text))  # not from a thread, whose end would be an event too
                await node.heard.until(lambda: bodies(node.heard)[-1:] == [text])  # noqa: B023 - the loop body has ended by then
                assert await peer.receive() == request(text)
        assert waiting == [0, 0]
        assert (link.messages_in, link.messages_out, link.bytes_out) == (2, 2, link.bytes_in)


@both_ports
@on_loop
async def test_answers_to_messages_of_one_batch_are_written_together(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    async with Node(ca, here) as node:
        _, peer = await up(node, there, kind)
        waiting = answers_that_wait(node)
        sent = request("one") + request("two") + request("three")
        async with peer:
            await peer.send(sent)
            assert await peer.receive() == sent
        assert waiting == [len(request("one")), len(request("one") + request("two")), len(sent)]


@both_ports
@on_loop
async def test_bytes_survive_a_full_socket(ca: Authority, here: Identity, there: Identity, kind: LinkKind) -> None:
    """After WANT_WRITE the next write starts with the same octets: the stream arrives whole although more was queued."""
    async with Node(ca, here, limits=UNBOUNDED) as node:
        link, peer = await up(node, there, kind)
        sent = [bytes([65 + at % 26]) * 40_001 for at in range(400)]
        async with peer:
            for piece in sent[:200]:
                link.send(piece)
            await node.heard.until(lambda: link.blocked)
            assert link.bytes_out > 0
            for piece in sent[200:]:
                link.send(piece)
            got = await peer.receive_exactly(400 * 40_001)
        assert hashlib.sha256(got).digest() == hashlib.sha256(b"".join(sent)).digest()
        await node.heard.until(lambda: link.pending_out == 0)


@both_ports
@on_loop
@pytest.mark.wide
async def test_peer_that_never_reads_is_closed_by_time_and_not_by_a_message(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    """A message without room is not queued; the link closes because the peer reads nothing for ``stall_s``."""
    bound = 1 << 20
    limits = Limits(queue_client_bytes=bound, queue_stranger_bytes=bound, queue_server_bytes=bound, stall_s=1.0)
    async with Node(ca, here, limits=limits) as node:
        link, peer = await up(node, there, kind)
        async with peer:
            while link.has_room(65_536):  # in one turn of the loop: the time for the peer cannot end meanwhile
                assert link.send(b"x" * 65_536)
            assert link.state is LinkState.UP
            assert bound - 65_536 < link.pending_out <= bound
            await node.heard.until(lambda: node.heard.down)
        assert [(gone, why) for gone, why, _ in node.heard.down] == [(link, DOES_NOT_READ)]
        assert link.pending_out == 0


@both_ports
@pytest.mark.parametrize(("length", "fits"), [(1000, True), (1001, False)])
@on_loop
async def test_queue_is_full_at_its_limit(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind, length: int, *, fits: bool
) -> None:
    limits = Limits(queue_client_bytes=1000, queue_stranger_bytes=1000, queue_server_bytes=1000)
    async with Node(ca, here, limits=limits) as node:
        link, peer = await up(node, there, kind)
        async with peer:
            assert (link.has_room(length), link.can_hold(length)) == (fits, fits)
            assert link.state is LinkState.UP


@pytest.mark.parametrize(("length", "fits"), [(1100, True), (1101, False)])
@on_loop
async def test_short_messages_have_a_reserve_above_the_limit(
    ca: Authority, here: Identity, there: Identity, length: int, *, fits: bool
) -> None:
    """A message that must not be lost silently closes the link if it has no room either."""
    limits = Limits(queue_server_bytes=1000, queue_reserved_bytes=100)
    async with Node(ca, here, limits=limits) as node:
        link, peer = await up(node, there, LinkKind.SERVER)
        async with peer:
            assert not link.has_room(length)
            assert link.send(b"x" * length) is fits
            assert link.state is LinkState.UP
            link.send_or_close(b"x" * 1101)
            assert (link.state, link.why) == (LinkState.CLOSED, DOES_NOT_READ)


@both_ports
@on_loop
async def test_full_queue_is_written_before_a_message_is_refused(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    """Ten times the limit is queued in one batch, for a peer that reads: everything arrives."""
    limits = Limits(queue_client_bytes=1000, queue_stranger_bytes=1000, queue_server_bytes=1000)
    async with Node(ca, here, limits=limits) as node:
        link, peer = await up(node, there, kind)
        async with peer:
            for _ in range(10):
                assert link.has_room(1000)
                assert link.send(b"x" * 1000)
            assert await peer.receive_exactly(10_000) == b"x" * 10_000


@pytest.mark.parametrize(
    ("logged_in", "length", "fits"),
    [(False, 500, True), (False, 501, False), (True, 501, True), (True, 1100, True), (True, 1101, False)],
)
@on_loop
async def test_link_without_a_login_has_a_smaller_queue(
    ca: Authority, here: Identity, there: Identity, *, logged_in: bool, length: int, fits: bool
) -> None:
    """No server sends to a link without a login: it has no reserve."""
    limits = Limits(queue_stranger_bytes=500, queue_client_bytes=1000, queue_reserved_bytes=100)
    async with Node(ca, here, limits=limits) as node:
        link, peer = await up(node, there, LinkKind.CLIENT)
        if logged_in:
            link.authenticate()
        async with peer:
            assert link.send(b"x" * length) is fits
            assert link.state is LinkState.UP


@both_ports
@on_loop
async def test_peer_that_stalls_is_closed_in_time(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    async with Node(ca, here, limits=replace(UNBOUNDED, stall_s=0.05)) as node:
        link, peer = await up(node, there, kind)
        async with peer:
            link.send(b"x" * (15 << 20))
            await node.heard.until(lambda: node.heard.down)
        assert node.heard.down[0][1] == DOES_NOT_READ


@on_loop
async def test_client_that_does_not_authenticate_is_closed(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here, limits=Limits(authenticate_s=0.05)) as node:
        _, peer = await up(node, there, LinkKind.CLIENT)
        async with peer:
            assert await peer.ended() == ""
        assert [why for _, why, _ in node.heard.down] == ["not authenticated in time"]


@on_loop
async def test_client_that_authenticates_is_closed_only_if_it_is_idle(
    ca: Authority, here: Identity, there: Identity
) -> None:
    limits = Limits(idle_s=0.1)
    async with Node(ca, here, limits=limits) as node:
        link, peer = await up(node, there, LinkKind.CLIENT)
        link.authenticate()
        late = link._deadlines.opened_at + limits.authenticate_s
        assert link._deadlines.passed(late, 0.0, late) == ""
        async with peer:
            assert await peer.ended() == ""
        assert [why for _, why, _ in node.heard.down] == ["idle"]


@on_loop
async def test_client_whose_keepalive_lapses_is_closed(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here, limits=Limits(keepalive_s=0.05)) as node:
        _, peer = await up(node, there, LinkKind.CLIENT)
        async with peer:
            await peer.send(b"\r\n\r\n")
            assert await peer.receive() == b"\r\n"
            assert await peer.ended() == ""
        assert [why for _, why, _ in node.heard.down] == ["keepalive lapsed"]


@on_loop
async def test_server_link_has_no_idle_deadline(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here, limits=Limits(idle_s=0, authenticate_s=0, keepalive_s=0)) as node:
        link, peer = await up(node, there, LinkKind.SERVER)
        async with peer:
            await peer.send(b"\r\n\r\n" + request())
            await node.heard.until(lambda: node.heard.messages)
            link.due(node.reactor.loop.time() + 1e6)
        assert link.state is LinkState.UP


@both_ports
@on_loop
async def test_drained_link_writes_its_queue_and_accepts_nothing_more(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    async with Node(ca, here, limits=UNBOUNDED) as node:
        link, peer = await up(node, there, kind)
        async with peer:
            link.send(b"x" * 1_000_000)
            link.drain()
            assert not link.send(request())
            assert await peer.receive_exactly(1_000_000) == b"x" * 1_000_000
            assert await peer.ended() == ""
        await node.heard.until(lambda: node.heard.down)
        assert node.heard.down[0][1] == "drained"


@both_ports
@on_loop
async def test_drain_of_a_link_whose_peer_does_not_read_ends(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    async with Node(ca, here, limits=replace(UNBOUNDED, drain_s=0.05)) as node:
        link, peer = await up(node, there, kind)
        async with peer:
            link.send(b"x" * (15 << 20))
            link.drain()
            await node.heard.until(lambda: node.heard.down)
        assert node.heard.down[0][1] == "drained, but the peer did not read"


@both_ports
@on_loop
async def test_link_down_comes_after_the_call_that_closed(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    """Nothing is reported from within close: the caller finishes first; a second close changes nothing."""
    async with Node(ca, here) as node:
        link, peer = await up(node, there, kind)
        async with peer:
            link.send(request("last"))
            link.close("because")
            link.close("again")
            assert (node.heard.down, link.send(request())) == ([], False)
            assert await peer.receive() == request("last")
            assert await peer.ended() == ""
        assert [(gone, why) for gone, why, _ in node.heard.down] == [(link, "because")]


@on_loop
async def test_no_link_comes_up_without_an_accepted_verdict(ca: Authority, here: Identity, there: Identity) -> None:
    """Link.come_up accepts neither a refused verdict nor a failed handshake."""
    async with Node(ca, here) as node:
        link, peer = await up(node, there, LinkKind.SERVER)
        async with peer:
            assert link.peer.evidence is not None
            new, tls = Link(node.reactor, node.heard, LinkKind.SERVER, Direction.ACCEPTED), link._tls
            evidence = PeerEvidence(*evidence_head(link), failure=HandshakeFailure("handshake-failed", "test"))
            refused = predictable(new, evidence)
            assert tls is not None
            with pytest.raises(LocalError):
                new.come_up(tls, link.peer.evidence, refused)
            with pytest.raises(LocalError):
                new.come_up(tls, evidence, predictable(link, link.peer.evidence))
            assert new.state is LinkState.CONNECTING


@on_loop
async def test_closed_links_are_freed_without_the_garbage_collector(
    ca: Authority, here: Identity, there: Identity
) -> None:
    """OpenSSL uses some 20 KiB for each link: a cycle would keep them until the garbage collector runs."""
    gc.collect()
    gc.disable()
    try:
        async with Node(ca, here) as node:
            for kind in (LinkKind.CLIENT, LinkKind.SERVER):
                _, peer = await up(node, there, kind)
                peer.close()
            assert await refused_dial(node.listeners[1], ca) != ""
            await node.heard.until(lambda: len(node.heard.down) == 2)
            assert [one for one in gc.get_objects() if isinstance(one, PyOpenSslTls)] == []
    finally:
        gc.enable()


@on_loop
async def test_repr_tells_state_peer_and_counters(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here) as server, Node(ca, there) as client:
        link = client.pool.obtain(client.hop("here.test", server.listen(LinkKind.SERVER)))
        assert f"<Link {link.id} opened connecting unconfirmed here.test at 127.0.0.1:" in repr(link)
        await client.heard.until(lambda: client.heard.up)
        assert "0 in, 0 out, 0 bytes waiting>" in repr(link)


@pytest.mark.parametrize(("accepting", "down"), [(True, 0), (False, 1)])
@on_loop
async def test_new_verdict_keeps_the_link_up_or_closes_it(
    ca: Authority, here: Identity, there: Identity, *, accepting: bool, down: int
) -> None:
    async with Node(ca, here) as node:
        link, peer = await up(node, there, LinkKind.SERVER)
        async with peer:
            evidence = PeerEvidence(*evidence_head(link), failure=HandshakeFailure("handshake-failed", "test"))
            verdict = predictable(link, link.peer.evidence if accepting and link.peer.evidence else evidence)
            assert link.judged(verdict) is accepting
            await node.heard.until(lambda: len(node.heard.down) == down)
        assert link.verdict is verdict


def answer_with(link: Link, data: bytes) -> None:
    link.send(data)


def answers_that_wait(node: Node) -> list[int]:
    """Send each message back, and record how many octets wait after each."""
    waiting = []

    def answer(link: Link, message: Request | Response) -> None:
        link.send(message.encode())
        waiting.append(link.pending_out)

    node.heard.on_message = answer
    return waiting


def evidence_head(link: Link) -> tuple[Direction, LinkKind, tuple[str, int], tuple[str, int]]:
    return link.direction, link.kind, link.remote, link.local
