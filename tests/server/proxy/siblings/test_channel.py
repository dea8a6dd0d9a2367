"""The channel between two processes of one server: frames keep their order, and what the other does not read is bounded."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Any

import pytest

from sipmesh.server.proxy.siblings.channel import (
    FRAMES_TOGETHER,
    HEADER,
    MOST_IN_ALL,
    MOST_PENDING,
    SEND,
    UP,
    WRITE_BYTES,
    WorkerChannel,
)
from sipmesh.transport.limits import Limits
from sipmesh.transport.reactor.reactor import Reactor
from sipmesh.transport.watched import READ
from support.running import on_loop, until


@dataclass
class End:
    """One end, and what came there."""

    reactor: Reactor
    frames: list[tuple[int, int, bytes]] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    breaks_at: bytes = b"-"

    def open(self, sock: socket.socket) -> WorkerChannel:
        """Make the channel of this end."""
        return WorkerChannel(self.reactor, sock, 7, self.take, lambda channel: self.ended.append(channel.number))

    def take(self, _channel: WorkerChannel, kind: int, number: int, payload: bytes) -> None:
        """Keep a frame; one of them is a bug."""
        self.frames.append((kind, number, payload))
        if payload == self.breaks_at:
            raise ZeroDivisionError


@on_loop
async def test_frames_that_the_turn_has_no_time_for_wait_and_outlive_the_end_of_the_other_process() -> None:
    reactor = Reactor(asyncio.get_running_loop(), Limits(turn_s=-1.0))
    one, two = End(reactor), End(reactor)
    ours, theirs = socket.socketpair()
    sender, receiver = one.open(ours), two.open(theirs)
    for number in range(3 * FRAMES_TOGETHER):
        sender.send(SEND, number)
    sender.flush()
    sender.close()
    receiver.ready(READ)
    assert len(two.frames) == FRAMES_TOGETHER
    await until(lambda: two.ended)
    assert [number for _, number, _ in two.frames] == [*range(3 * FRAMES_TOGETHER)]
    reactor.close()


@on_loop
async def test_frames_keep_their_order_and_their_octets() -> None:
    reactor = Reactor(asyncio.get_running_loop())
    one, two = End(reactor), End(reactor)
    ours, theirs = socket.socketpair()
    sender, receiver = one.open(ours), two.open(theirs)
    sent = [(SEND, number, bytes([number % 256]) * (number * 97)) for number in range(300)]
    for frame in sent:
        sender.send(*frame)
    await until(lambda: len(two.frames) == len(sent))
    assert two.frames == sent
    assert sender.pending == 0
    receiver.send(UP, 1)
    await until(lambda: one.frames == [(UP, 1, b"")])
    receiver.close()
    await until(lambda: one.ended == [7])
    assert two.ended == [7]
    assert not sender.is_open
    sender.send(UP, 2)
    sender.close()
    assert one.ended == [7]
    reactor.close()


class MeasuredSocket(socket.socket):
    """A socket that keeps how much it was given at once."""

    largest = 0

    def send(self, data: Any, *flags: int) -> int:
        """Send, and keep the size."""
        self.largest = max(self.largest, len(data))
        return super().send(data, *flags)


@pytest.mark.parametrize("size", [300, 4_900_000])
@on_loop
async def test_no_write_of_a_long_queue_copies_all_of_it(size: int) -> None:
    """Each write took all that waited: with 16 MiB a process stood still for seconds, and was killed as hung."""
    reactor = Reactor(asyncio.get_running_loop())
    one, two = End(reactor), End(reactor)
    ours, theirs = socket.socketpair()
    measured = MeasuredSocket(fileno=ours.detach())
    sender, receiver = one.open(measured), two.open(theirs)
    sent = [(SEND, number, bytes([number % 256]) * size) for number in range(15_000_000 // size)]
    for frame in sent:
        sender.send(*frame)
    assert (sender.written, sender.queued) == (0, sender.pending)
    await until(lambda: len(two.frames) == len(sent))
    assert two.frames == sent
    assert 0 < measured.largest <= 2 * WRITE_BYTES
    assert (sender.written, sender.pending) == (sender.queued, 0)
    receiver.close()
    sender.close()
    reactor.close()


@on_loop
async def test_bug_in_one_frame_leaves_all_others() -> None:
    """It does not repeat either: the frame is taken off before it is handed on."""
    loop = asyncio.get_running_loop()
    faults: list[object] = []
    loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
    reactor = Reactor(loop)
    one, two = End(reactor), End(reactor, breaks_at=b"bug")
    ours, theirs = socket.socketpair()
    sender, receiver = one.open(ours), two.open(theirs)
    for payload in (b"a", b"bug", b"b"):
        sender.send(SEND, 1, payload)
    await until(lambda: len(two.frames) == 3)
    assert [type(fault) for fault in faults] == [ZeroDivisionError]
    assert receiver.is_open
    receiver.close()
    sender.close()
    reactor.close()


@on_loop
async def test_process_that_does_not_read_gets_no_further_messages_and_then_loses_its_channel() -> None:
    reactor = Reactor(asyncio.get_running_loop())
    one = End(reactor)
    ours, theirs = socket.socketpair()
    channel = one.open(ours)
    assert channel.has_room(MOST_PENDING)
    assert not channel.has_room(MOST_PENDING + 1)
    channel.send(SEND, 1, bytes(MOST_PENDING - HEADER.size))
    assert not channel.has_room(1)
    for _ in range(MOST_IN_ALL // MOST_PENDING - 1):
        channel.send(SEND, 1, bytes(MOST_PENDING - HEADER.size))
    assert channel.is_open
    channel.send(SEND, 1)
    assert one.ended == [7]
    assert not channel.has_room(1)
    theirs.close()
    reactor.close()


@on_loop
async def test_write_to_a_process_that_has_ended_closes_the_channel() -> None:
    reactor = Reactor(asyncio.get_running_loop())
    one = End(reactor)
    ours, theirs = socket.socketpair()
    channel = one.open(ours)
    theirs.close()
    channel.send(SEND, 1, b"x")
    await until(lambda: one.ended == [7])
    reactor.close()
