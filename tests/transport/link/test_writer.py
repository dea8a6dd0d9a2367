"""The queue of one link, with a TLS connection that accepts as many octets as the test says."""

from __future__ import annotations

from typing import cast

import pytest

from sipmesh.cli.versions import built
from sipmesh.transport.link.writer import LinkWriter
from sipmesh.transport.tls.pyopenssl import PyOpenSslTls

pytestmark = pytest.mark.skipif(built() == "compiled", reason="compiled code takes no other class for TLS")


class Socket:
    """Accepts *room* octets in all."""

    def __init__(self, room: int) -> None:
        self.room, self.got = room, b""

    def write(self, data: bytes | memoryview) -> int:
        """Accept the octets that fit."""
        count = min(self.room, len(data))
        self.got += bytes(data[:count])
        self.room -= count
        return count


@pytest.fixture(name="writer")
def _writer() -> LinkWriter:
    writer = LinkWriter(100, clock=lambda: 7.0)
    writer.put(b"one ")
    writer.put(b"two")
    return writer


def write(writer: LinkWriter, socket: Socket) -> bool:
    return writer.write(cast("PyOpenSslTls", socket))


def test_queued_messages_are_written_in_order(writer: LinkWriter) -> None:
    socket = Socket(50)
    assert write(writer, socket)
    assert (socket.got, writer.pending, writer.octets, writer.blocked_at) == (b"one two", 0, 7, 0.0)


def test_full_socket_blocks_and_the_next_write_begins_with_the_same_octets(writer: LinkWriter) -> None:
    socket = Socket(5)
    assert not write(writer, socket)
    assert (writer.pending, writer.blocked_at) == (2, 7.0)
    writer.put(b"!")
    socket.room = 50
    assert write(writer, socket)
    assert (socket.got, writer.pending, writer.blocked_at) == (b"one two!", 0, 0.0)


def test_cleared_queue_writes_nothing(writer: LinkWriter) -> None:
    writer.clear()
    socket = Socket(50)
    assert write(writer, socket)
    assert (socket.got, writer.pending) == (b"", 0)


def test_writer_shows_what_waits(writer: LinkWriter) -> None:
    assert repr(writer) == "<LinkWriter 7 of 100 octets wait, 0 written>"
