"""What arrives on a link, over real TLS."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sipmesh.errors import LocalError
from sipmesh.sip.framing import MessageReader
from sipmesh.sip.message import Response
from sipmesh.transport.limits import Limits
from sipmesh.transport.link.deadlines import TOO_MANY_KEEPALIVES, LinkDeadlines
from sipmesh.transport.link.link import Link
from sipmesh.transport.link.reader import LEAST_READ, MOST_TOGETHER, LinkReader
from sipmesh.trust.evidence import Direction, LinkKind
from transport.world import Node, bodies, both_ports, on_loop, request, up

if TYPE_CHECKING:
    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority


@both_ports
@on_loop
async def test_one_byte_at_a_time_is_one_message(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    async with Node(ca, here) as node:
        link, peer = await up(node, there, kind)
        async with peer:
            for at in range(len(request("slow"))):
                await peer.send(request("slow")[at : at + 1])
            await node.heard.until(lambda: node.heard.messages)
        assert bodies(node.heard) == ["slow"]
        assert (link.bytes_in, link.messages_in) == (len(request("slow")), 1)


@both_ports
@on_loop
async def test_link_answers_a_ping_without_an_event(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    async with Node(ca, here) as node:
        link, peer = await up(node, there, kind)
        async with peer:
            await peer.send(b"\r\n\r\n")
            assert await peer.receive() == b"\r\n"
        assert (node.heard.messages, link.messages_in) == ([], 0)


@on_loop
async def test_client_that_sends_too_many_keepalives_is_closed(ca: Authority, here: Identity, there: Identity) -> None:
    """Another client, which sends as many as it may, stays up; so does a server, which has a higher rate."""
    async with Node(ca, here, limits=Limits(keepalives_per_s=0.001, keepalives_at_once=20)) as node:
        _, hostile = await up(node, there, LinkKind.CLIENT)
        _, rightful = await up(node, there, LinkKind.CLIENT)
        _, server = await up(node, there, LinkKind.SERVER)
        async with hostile, rightful, server:
            await hostile.send(b"\r\n\r\n" * 21)
            await node.heard.until(lambda: node.heard.down)
            assert node.heard.down[0][1] == TOO_MANY_KEEPALIVES
            await rightful.send(b"\r\n\r\n" * 20 + request("client"))
            await node.heard.until(lambda: node.heard.messages)
            await server.send(b"\r\n\r\n" * 100 + request("server"))
            await node.heard.until(lambda: len(node.heard.messages) == 2)
            assert (bodies(node.heard), len(node.heard.down)) == (["client", "server"], 1)


@pytest.mark.parametrize("kind", [LinkKind.SERVER, LinkKind.PARTNER])
@on_loop
async def test_server_that_floods_keepalives_is_closed(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    """Another, which sends as many as it may, stays up."""
    async with Node(ca, here, limits=Limits(server_keepalives_per_s=0.001, server_keepalives_at_once=200)) as node:
        _, hostile = await up(node, there, kind)
        _, rightful = await up(node, there, kind)
        async with hostile, rightful:
            await hostile.send(b"\r\n\r\n" * 201)
            await node.heard.until(lambda: node.heard.down)
            assert node.heard.down[0][1] == TOO_MANY_KEEPALIVES
            await rightful.send(b"\r\n\r\n" * 200 + request("still up"))
            await node.heard.until(lambda: node.heard.messages)
            assert (bodies(node.heard), len(node.heard.down)) == (["still up"], 1)


@on_loop
async def test_pong_confirms_an_opened_link(ca: Authority, here: Identity, there: Identity) -> None:
    """RFC 5626 4.4.1: a single CRLF is the first SIP octet that comes back."""
    async with Node(ca, here) as server, Node(ca, there) as client:
        link = client.pool.obtain(client.hop("here.test", server.listen(LinkKind.SERVER)))
        link.send(b"\r\n\r\n")
        await client.heard.until(lambda: link.peer.confirmed)
        assert client.heard.messages == []


@on_loop
async def test_two_pongs_do_not_count_as_a_ping(ca: Authority, here: Identity, there: Identity) -> None:
    """Both are CRLF CRLF on the wire; the side that opened the link pings (RFC 5626 3.5.1)."""
    async with Node(ca, here) as server, Node(ca, there) as client:
        link = client.pool.obtain(client.hop("here.test", server.listen(LinkKind.SERVER)))
        await server.heard.until(lambda: server.heard.up)
        server.heard.up[0].send(b"\r\n\r\n")
        await client.heard.until(lambda: link.peer.confirmed)
        link.send(request())
        await server.heard.until(lambda: server.heard.messages)
        assert server.heard.up[0].bytes_in == len(request())


@both_ports
@on_loop
async def test_unframeable_stream_gets_its_answer_and_is_closed(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    """Messages that were complete before the fault are delivered first."""
    async with Node(ca, here) as node:
        _, peer = await up(node, there, kind)
        node.heard.answer = b"SIP/2.0 400 Bad Request\r\n\r\n"
        async with peer:
            await peer.send(request("good") + b"this is no SIP\r\n\r\n")
            assert await peer.receive() == node.heard.answer
            assert await peer.ended() == ""
        assert bodies(node.heard) == ["good"]
        assert node.heard.down[0][1].startswith("unframeable: ")


@pytest.mark.parametrize(("kind", "status"), [(LinkKind.CLIENT, 413), (LinkKind.SERVER, 0)])
@on_loop
async def test_server_may_send_larger_bodies_than_a_client(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind, status: int
) -> None:
    async with Node(ca, here, limits=Limits(body_client_bytes=1000, body_server_bytes=1001)) as node:
        _, peer = await up(node, there, kind)
        async with peer:
            await peer.send(request("x" * 1001))
            await node.heard.until(lambda: node.heard.messages or node.heard.faults)
        assert [fault.status for fault in node.heard.faults] == ([status] if status else [])


@pytest.mark.parametrize("is_user", [False, True])
@pytest.mark.parametrize(("header", "body", "status"), [(0, 16_385, 413), (32_769, 0, 513)])
@on_loop
async def test_stranger_may_send_less_than_a_user(
    ca: Authority, here: Identity, there: Identity, header: int, body: int, status: int, *, is_user: bool
) -> None:
    """The limits of a user count from the next message on, also if the reader has read messages of the stranger."""
    async with Node(ca, here) as node:
        link, peer = await up(node, there, LinkKind.CLIENT)
        async with peer:
            await peer.send(request("first"))
            await node.heard.until(lambda: node.heard.messages)
            if is_user:
                link.authenticate()
            await peer.send(request("x" * body).replace(b"Max-Forwards", b"X: " + b"x" * header + b"\r\nMax-Forwards"))
            await node.heard.until(lambda: node.heard.faults or len(node.heard.messages) == 2)
        assert [fault.status for fault in node.heard.faults] == ([] if is_user else [status])


@both_ports
@on_loop
async def test_octets_of_a_link_without_an_accepted_verdict_are_not_read(
    ca: Authority, here: Identity, kind: LinkKind
) -> None:
    async with Node(ca, here) as node:
        link = Link(node.reactor, node.heard, kind, Direction.ACCEPTED)
        deadlines = LinkDeadlines(Limits(), kind, Direction.ACCEPTED, 0.0)
        with pytest.raises(LocalError, match="no accepted verdict"):
            LinkReader(node.reactor, node.heard, deadlines).deliver(link, request())
        assert node.heard.messages == []


@both_ports
@on_loop
async def test_turn_ends_at_its_limit_and_the_rest_is_read_in_the_next_turns(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    limits = Limits(turn_bytes_client=1, turn_bytes_server=1)
    async with Node(ca, here, limits=limits) as node:
        link, peer = await up(node, there, kind)
        async with peer:
            for at in range(3):
                await peer.send(request(f"{at}" * 16_384))
            await node.heard.until(lambda: len(node.heard.messages) == 3)
        assert link.messages_in == 3


@on_loop
async def test_messages_that_the_turn_has_no_time_for_wait_for_the_next_turn(
    ca: Authority, here: Identity, there: Identity
) -> None:
    """A turn takes `MOST_TOGETHER` of a server's messages here."""
    texts = [f"n{number}" for number in range(5 * MOST_TOGETHER)]
    turns: list[int] = []
    async with Node(ca, here, limits=Limits(turn_s=-1.0)) as node:
        _, peer = await up(node, there, LinkKind.SERVER)
        node.heard.on_message = lambda *_: turns.append(node.reactor.turns)
        async with peer:
            await peer.send(b"".join(map(request, texts)))
            await node.heard.until(lambda: len(node.heard.messages) == len(texts))
        assert bodies(node.heard) == texts
    assert max(Counter(turns).values()) <= MOST_TOGETHER


@both_ports
@on_loop
async def test_turn_has_so_many_reads_with_records_of_any_size(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    """A record of some octets costs nearly as much time as a long one: otherwise one link keeps others waiting."""
    limits = Limits(turn_bytes_client=10 * LEAST_READ, turn_bytes_server=10 * LEAST_READ)
    tiny = b"A sip:b SIP/2.0\r\nContent-Length:0\r\n\r\n"
    turns: Counter[int] = Counter()
    async with Node(ca, here, limits=limits) as node:
        node.heard.on_message = lambda _link, _message: turns.update([node.reactor.turns])
        _, peer = await up(node, there, kind)
        async with peer:
            for _ in range(100):
                peer.sock.sendall(tiny)
            await node.heard.until(lambda: len(node.heard.messages) == 100)
        assert max(turns.values()) == 10


@pytest.mark.parametrize(("is_user", "faults"), [(True, []), (False, [413])])
@on_loop
async def test_login_counts_for_a_message_that_has_come_with_the_message_before(
    ca: Authority, here: Identity, there: Identity, faults: list[int], *, is_user: bool
) -> None:
    """The messages of a user are framed together, and those of a stranger one after the other."""
    async with Node(ca, here, limits=Limits(turn_bytes_client=65_536)) as node:
        link, peer = await up(node, there, LinkKind.CLIENT)
        node.heard.on_message = lambda *_: link.authenticate() if is_user else None
        async with peer:
            await peer.send(request("login") + request("x" * 16_385) + request("last"))
            await node.heard.until(lambda: node.heard.faults or len(node.heard.messages) == 3)
        assert [fault.status for fault in node.heard.faults] == faults
        assert bodies(node.heard)[0] == "login"


@both_ports
@on_loop
async def test_link_that_closes_at_a_message_delivers_none_of_those_behind_it(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    """They have come in one record, or in records that were read together."""
    async with Node(ca, here) as node:
        link, peer = await up(node, there, kind)
        link.authenticate()
        node.heard.on_message = lambda *_: link.close("enough")
        async with peer:
            await peer.send(request("first") + request("second"))
            await node.heard.until(lambda: node.heard.down)
        assert bodies(node.heard) == ["first"]


@both_ports
@on_loop
async def test_message_before_the_end_of_the_connection_is_delivered(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    async with Node(ca, here) as node:
        _, peer = await up(node, there, kind)
        async with peer:
            await peer.send(request("last"))
        await node.heard.until(lambda: node.heard.down)
        assert bodies(node.heard) == ["last"]


@both_ports
@on_loop
async def test_incomplete_message_is_dropped_when_its_time_is_over(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    """A byte now and then gives no further time."""
    async with Node(ca, here, limits=Limits(message_s=0.05)) as node:
        _, peer = await up(node, there, kind)
        async with peer:
            await peer.send(request("whole") + request("part")[:-1])
            assert await peer.ended() == ""
        assert bodies(node.heard) == ["whole"]
        assert node.heard.down[0][1] == "an incomplete message timed out"


@both_ports
@on_loop
async def test_new_request_is_refused_under_overload_before_it_is_parsed(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    """The rest of a message whose beginning was admitted is no new request."""
    async with Node(ca, here) as node:
        link, peer = await up(node, there, kind)
        async with peer:
            await peer.send(request("begun")[:-1])
            await node.heard.until(lambda: link.bytes_in)
            node.reactor.overload.active, node.reactor.overload.loss = True, 1.0
            await peer.send(request("begun")[-1:])
            await node.heard.until(lambda: node.heard.messages)
            node.reactor.overload.active, node.reactor.overload.loss = True, 1.0
            await peer.send(request("new"))
            answer = only_message_in(await peer.receive())
        assert isinstance(answer, Response)
        assert answer.status == 503
        assert (bodies(node.heard), link.messages_in, node.reactor.overload.refused) == (["begun"], 2, 1)


def only_message_in(octets: bytes) -> object:
    reader = MessageReader()
    reader.add(octets)
    return reader.next()
