"""A link of another process: what is sent, closed or asked of it goes to that process."""

from __future__ import annotations

import asyncio
import socket

from sipmesh.server.proxy.siblings.channel import CLOSE, MOST_PENDING, SEND, WorkerChannel
from sipmesh.server.proxy.siblings.remote_link import RemoteLink
from sipmesh.transport.link.events import LinkEvents
from sipmesh.transport.reactor.reactor import Reactor
from sipmesh.trust.evidence import Direction, LinkKind
from support.running import on_loop, until


@on_loop
async def test_what_is_done_to_a_link_of_another_process_is_done_there() -> None:
    reactor = Reactor(asyncio.get_running_loop())
    ours, theirs = socket.socketpair()
    came: list[tuple[int, int, bytes]] = []
    channel = WorkerChannel(reactor, ours, 2, lambda *_: None, lambda _: None)
    other_end = WorkerChannel(reactor, theirs, 1, lambda _, *frame: came.append(frame), lambda _: None)
    link = RemoteLink(reactor, LinkEvents(), LinkKind.CLIENT, Direction.ACCEPTED, 2_000_000_001, channel)
    assert (link.id, link.is_here, link.worker, link.usable) == ("c2000000001", False, 2, True)
    link.authenticate()
    assert link.authenticated
    assert link.has_room(MOST_PENDING)
    assert not link.has_room(MOST_PENDING + 1)
    assert link.can_hold(reactor.limits.queue_client_bytes)
    assert not link.can_hold(reactor.limits.queue_client_bytes + 1)
    assert link.send(b"hello")
    assert link.pending_out == channel.pending > 0
    link.drain()
    link.close("again")
    assert not link.usable
    assert not link.send(b"more")
    assert not link.has_room(1)
    await until(lambda: len(came) == 2)
    assert came == [(SEND, link.number, b"hello"), (CLOSE, link.number, b"drained")]
    other = RemoteLink(reactor, LinkEvents(), LinkKind.CLIENT, Direction.ACCEPTED, 2_000_000_002, channel)
    other.gone()
    assert not other.usable
    channel.close()
    other_end.close()
    reactor.close()
