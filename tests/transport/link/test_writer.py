"""The queue of one link, with a TLS connection that accepts as many octets as the test says."""

from __future__ import annotations

from typing import cast

import pytest

from sipmesh.cli.versions import built
from sipmesh.transport.link.writer import LinkWriter, why_broken
from sipmesh.transport.tls.pyopenssl import PyOpenSslTls, Room
from sipmesh.transport.tls.results import TlsError

pytestmark = pytest.mark.skipif(built() == "compiled", reason="compiled code takes no other class for TLS")


class Socket:
    """Accepts *room* octets in all."""

    def __init__(self, room: int) -> None:
        self.room, self.got = room, b""

    def write(self, data: bytes | memoryview, _room: Room) -> int:
        """Accept the octets that fit."""
        count = min(self.room, len(data))
        self.got += bytes(data[:count])
        self.room -= count
        return count


@pytest.fixture(name="writer")
def _writer() -> LinkWriter:
    writer = LinkWriter(100, 10, clock=lambda: 7.0)
    writer.put(b"one ")
    writer.put(b"two")
    return writer


def write(writer: LinkWriter, socket: Socket) -> bool:
    return writer.write(cast("PyOpenSslTls", socket), Room())


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


class Broken:
    """A connection whose peer sent *octets* and then *ended*."""

    def __init__(self, ended: TlsError | None, octets: bytes = b"") -> None:
        self.ended, self.octets = ended, octets

    def read(self, _room: Room) -> bytes | None:
        """Give the octets once, then the end."""
        octets, self.octets = self.octets, b""
        if not octets and self.ended is not None:
            raise self.ended
        return octets or None


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        (TlsError("peer's alert", alert="certificate_unknown"), "peer's alert"),
        (TlsError("reset"), "broken pipe"),
        (None, "broken pipe"),
    ],
)
def test_alert_of_the_peer_is_the_reason_of_a_broken_write(ended: TlsError | None, why: str) -> None:
    tls = cast("PyOpenSslTls", Broken(ended, b"a message"))
    assert why_broken(tls, TlsError("broken pipe"), Room()) == why
