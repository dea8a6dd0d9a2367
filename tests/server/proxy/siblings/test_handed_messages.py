"""What waits for the supervisor: each server has its share of the channel."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.routing.proxy.branch import MAGIC_COOKIE
from sipmesh.server.proxy.siblings.channel import (
    ARRIVED,
    HEADER,
    MOST_IN_ALL,
    MOST_PENDING,
    SUPERVISOR,
    WRITE_BYTES,
    WorkerChannel,
)
from sipmesh.server.proxy.siblings.handed_messages import MOST_WAITING, HandedMessages
from sipmesh.server.worker_service import RemoteControlPlane
from sipmesh.sip.message import Request, Response, build_request, respond
from sipmesh.transport.reactor.reactor import Reactor
from support.network import EDGE, FE1, FE2
from support.peer import Peer
from support.running import on_loop, until
from support.siblings import ONE, Pair, pair_of

BETWEEN = "x"  # the numbers of a branch
STOLEN, OTHER = "fe2.example.test", "fe3.example.test"


@contextmanager
def channel_to_nobody() -> Iterator[tuple[WorkerChannel, socket.socket]]:
    """A channel whose other end does not read."""
    reactor = Reactor(asyncio.get_running_loop())
    ours, theirs = socket.socketpair()
    channel = WorkerChannel(reactor, ours, 0, lambda *_: None, lambda _: None)
    yield channel, theirs
    channel.close()
    theirs.close()
    reactor.close()


def hand(handed: HandedMessages, channel: WorkerChannel, server: str, size: int) -> bool:
    """Hand a message on, if it is admitted."""
    is_admitted = handed.admits(channel, server, size)
    if is_admitted:
        channel.send(ARRIVED, 1, bytes(size))
    return is_admitted


@pytest.mark.parametrize(("size", "most"), [(10, MOST_WAITING), (MOST_PENDING // 4, 4)])
@on_loop
async def test_server_that_sends_without_end_leaves_the_others_their_place(size: int, most: int) -> None:
    handed = HandedMessages()
    with channel_to_nobody() as (channel, _):
        assert [hand(handed, channel, STOLEN, size) for _ in range(most + 1)] == [True] * most + [False]
        assert hand(handed, channel, OTHER, size)


@on_loop
async def test_messages_that_were_written_wait_no_longer() -> None:
    handed = HandedMessages()
    with channel_to_nobody() as (channel, theirs):
        while hand(handed, channel, STOLEN, 10):
            pass
        theirs.settimeout(0)
        await until(lambda: channel.written)
        while channel.pending:
            await asyncio.sleep(0)
            theirs.recv(MOST_PENDING)
        assert hand(handed, channel, STOLEN, 10)


@on_loop
async def test_many_servers_leave_room_for_the_replies_to_the_supervisor() -> None:
    """The channel is closed above its limit, and the worker ends with it."""
    handed, size = HandedMessages(), MOST_PENDING // 2
    with channel_to_nobody() as (channel, _):
        number = 0
        while hand(handed, channel, f"fe{number}.example.test", size):
            number += 1
        assert channel.pending <= MOST_IN_ALL - MOST_PENDING + number * HEADER.size
        assert channel.is_open
    assert not hand(handed, channel, OTHER, 1)


class Supervisor:
    """The other end of the channel that worker 1 of *pair* has to its supervisor; it reads when the test says so."""

    def __init__(self, pair: Pair) -> None:
        ours, self.sock = socket.socketpair()
        pair.stack.callback(self.sock.close)
        self.siblings = pair.siblings(ONE)
        self.branch = f"{MAGIC_COOKIE}5f{BETWEEN}"
        self.channel = pair.reception(ONE).join(SUPERVISOR, self.branch, ours)
        pair.nodes[ONE].outside.control_plane = RemoteControlPlane(self.siblings)
        self.sock.settimeout(0)
        self._unread = b""
        self.found: list[bytes] = []

    def arrived(self) -> list[bytes]:
        """Read what is there, and give all messages that were handed on so far."""
        with suppress(BlockingIOError):
            while chunk := self.sock.recv(1 << 20):
                self._unread += chunk
        while len(self._unread) >= HEADER.size:
            length, kind, _ = HEADER.unpack_from(self._unread)
            if len(self._unread) < HEADER.size + length:
                break
            payload = self._unread[HEADER.size : HEADER.size + length]
            self._unread = self._unread[HEADER.size + length :]
            if kind == ARRIVED:
                self.found.append(payload)
        return self.found


def of_control_plane(peer: Peer) -> Request:
    """A request of the event package of the control plane."""
    return peer.request("NOTIFY", f"sip:{FE1}", [("event", "sipmesh"), ("subscription-state", "active")])


def answers(peer: Peer, branch: str, count: int, body: bytes = b"") -> list[Response]:
    """Responses to requests that were never sent, with this branch; "" for one of the peer's own."""
    via = [f"SIP/2.0/TLS 127.0.0.1:1;branch={branch}"] if branch else []
    asked = [peer.request("SUBSCRIBE", f"sip:{FE1}") for _ in range(count)]
    if via:
        asked = [build_request("SUBSCRIBE", one.uri, [("via", via[0]), *rows_below(one)]) for one in asked]
    return [respond(one, 200, body=body) for one in asked]


def rows_below(request: Request) -> list[tuple[str, str]]:
    """The header rows of a request without its Via."""
    names = ("max-forwards", "from", "to", "call-id", "cseq")
    return [(name, request.first(name) or "") for name in names]


@pytest.mark.parametrize("is_registered", [False, True])
@on_loop
async def test_responses_of_clients_do_not_reach_the_supervisor_and_those_of_servers_do(
    example: Organisation, *, is_registered: bool
) -> None:
    """A stranger who sent responses without end kept the supervisor busy. The worker was killed, with the links of all users."""
    async with pair_of(example) as pair:
        supervisor = Supervisor(pair)
        client = await (pair.phone if is_registered else pair.peer)("alice", ONE)
        server = await pair.peer("x", ONE, FE2)
        for peer in (client, server):
            await peer.send(*answers(peer, "", 3), *answers(peer, f"{supervisor.branch}7{BETWEEN}1", 2))
            await peer.ask(peer.request("OPTIONS", "sip:example.test"))
        await until(lambda: len(supervisor.arrived()) >= 5)
        assert [server.user.encode() in message for message in supervisor.found] == [True] * 5


@on_loop
async def test_responses_that_are_not_waited_for_leave_the_channel_to_another_worker_to_others(
    example: Organisation,
) -> None:
    """The other worker does not read. A phone knows how its branches begin from each request that it has got."""
    async with pair_of(example) as pair:
        ours, theirs = socket.socketpair()
        pair.stack.callback(theirs.close)
        branch = f"{MAGIC_COOKIE}5f{BETWEEN}"
        channel = pair.reception(ONE).join(3, branch, ours)
        alice = await pair.phone("alice", ONE)
        for _ in range(40):
            await alice.send(*answers(alice, f"{branch}7{BETWEEN}1", 10, bytes(16_000)))
        await alice.ask(alice.request("OPTIONS", "sip:example.test"))
        assert WRITE_BYTES < channel.pending < 2 * WRITE_BYTES
        assert channel.has_room(MOST_PENDING // 2)


@on_loop
async def test_stolen_server_does_not_fill_the_channel_to_the_supervisor(example: Organisation) -> None:
    """The supervisor does not read. The other server still reaches it, and the channel stays open."""
    async with pair_of(example) as pair:
        supervisor = Supervisor(pair)
        stolen, other = await pair.peer("x", ONE, FE2), await pair.peer("y", ONE, EDGE)
        refused = 0
        while not refused:
            await stolen.send(*(of_control_plane(stolen) for _ in range(500)))
            probe = stolen.request("OPTIONS", "sip:example.test")
            await stolen.send(probe)
            while (answer := await stolen.final()).call_id != probe.call_id:
                assert (answer.status, answer.first("retry-after")) == (503, "5")
                refused += 1
        before = supervisor.channel.queued
        await other.send(of_control_plane(other))
        await other.ask(other.request("OPTIONS", "sip:example.test"))
        assert supervisor.channel.queued > before
        assert supervisor.channel.is_open
        await until(lambda: any(other.user.encode() in one for one in supervisor.arrived()))
