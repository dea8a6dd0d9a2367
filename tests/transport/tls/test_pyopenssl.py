"""TLS over pyOpenSSL on a socket pair: what each end reads, writes and sees, and how a link ends."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.transport.tls.contexts import ClientPortContext, MutualContext
from sipmesh.transport.tls.pyopenssl import MOST_AFTER_HANDSHAKE, SEALED, PyOpenSslTls, Room
from sipmesh.transport.tls.results import RECORD, HandshakeError, Progress, TlsError
from sipmesh.transport.tls.tiny_records import MOST_TINY
from support.key_updates import RecordWriter

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority

Ends = tuple[PyOpenSslTls, PyOpenSslTls]


@pytest.fixture(name="sockets")
def _sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    for sock in (here, there):
        sock.settimeout(0)  # non-blocking
    yield here, there
    here.close()
    there.close()


@pytest.fixture(name="ends")
def _ends(ca: Authority, here: Identity, there: Identity, sockets: tuple[socket.socket, socket.socket]) -> Ends:
    """The end that opened the link, and the end that accepted it; nothing was sent yet."""
    opening = MutualContext(there, [ca.root]).opened(sockets[0], "here.test")
    return opening, MutualContext(here, [ca.root]).accepted(sockets[1])


def shake_hands(ends: Ends) -> None:
    for _ in range(10):
        if {end.handshake() for end in ends} == {Progress.DONE}:
            return
    raise AssertionError("no handshake")


def test_handshake_waits_for_the_other_end_and_is_done(ends: Ends) -> None:
    opening, accepting = ends
    assert accepting.handshake() is Progress.WANT_READ
    assert not accepting.greeted
    assert opening.handshake() is Progress.WANT_READ
    accepting.handshake()
    assert accepting.greeted
    shake_hands(ends)


def test_each_end_sees_what_the_other_presented(ends: Ends, here: Identity, there: Identity) -> None:
    opening, accepting = ends
    shake_hands(ends)
    assert opening.presented()[0] == here.leaf.public_bytes(Encoding.DER)
    assert accepting.presented()[0] == there.leaf.public_bytes(Encoding.DER)
    assert (opening.engine_errors(), accepting.engine_errors()) == ((), ())
    assert (opening.facts().version, accepting.facts().sni, opening.facts().sni) == ("TLSv1.3", "here.test", "")
    assert opening.facts().cipher == accepting.facts().cipher


def test_bytes_pass_in_both_directions_and_a_read_without_data_is_empty(ends: Ends) -> None:
    shake_hands(ends)
    room = Room()
    for sender, receiver in (ends, ends[::-1]):
        assert receiver.read(room) == b""
        assert sender.write(b"hello", Room()) == 5
        assert sender.write(memoryview(b", world"), Room()) == 7
        assert bytes(receiver.read(room) or b"") + bytes(receiver.read(room) or b"") == b"hello, world"


def test_rest_of_a_partly_read_record_is_pending(ends: Ends) -> None:
    opening, accepting = ends
    shake_hands(ends)
    accepting.read(Room())
    opening.read(Room())
    opening.write(b"0123456789", Room())
    assert accepting.read(Room(4)) == b"0123"
    assert accepting.pending() == 6
    assert accepting.read(Room(RECORD)) == b"456789"
    assert accepting.pending() == 0


def test_full_socket_accepts_nothing_more(ends: Ends) -> None:
    opening, _ = ends
    shake_hands(ends)
    taken = [opening.write(b"x" * RECORD, Room()) for _ in range(200)]
    assert 0 in taken


def test_octets_that_a_full_socket_did_not_accept_arrive_once_and_in_order(ends: Ends) -> None:
    """The caller repeats a write that was not accepted, and the peer gets its record once."""
    opening, accepting = ends
    shake_hands(ends)
    room, got, at = Room(), b"", 0
    sent = b"".join(bytes([number]) * RECORD for number in range(64))
    while at < len(sent) and (count := opening.write(sent[at : at + RECORD], room)):
        at += count
    assert 0 < at < len(sent)
    while len(got) < len(sent):
        got += bytes(accepting.read(room) or b"")
        at += opening.write(sent[at : at + RECORD], room) if at < len(sent) else 0
    assert got == sent


def test_records_that_came_together_are_read_from_the_socket_at_once(ends: Ends) -> None:
    opening, accepting = ends
    shake_hands(ends)
    room = Room()
    accepting.read(room)
    for part in (b"one", b"two", b"three"):
        opening.write(part, room)
    assert accepting.read(room) == b"one"
    assert accepting.has_more
    assert accepting.pending() == accepting.unread() > 0
    assert (accepting.read(room), accepting.has_more) == (b"two", True)
    assert (accepting.read(room), accepting.has_more) == (b"three", False)
    assert (accepting.pending(), accepting.unread()) == (0, 0)


def test_more_octets_than_one_read_of_the_socket_brings_are_read_to_the_end(ends: Ends) -> None:
    """A read of the socket that ends within a record does not hide what is behind it."""
    opening, accepting = ends
    shake_hands(ends)
    room, got = Room(), b""
    accepting.read(room)
    sent = 2 * SEALED // RECORD + 1
    for _ in range(sent):
        assert opening.write(b"x" * RECORD, room) == RECORD
    accepting.has_more = True
    while accepting.has_more:
        got += accepting.read(room) or b""
    assert len(got) == sent * RECORD


def test_record_in_parts_is_read_once_it_is_whole(ends: Ends) -> None:
    opening, accepting = ends
    shake_hands(ends)
    room = Room()
    accepting.read(room)
    opening.write(b"x" * 1000, room)
    assert accepting.read(room, 500) == b""
    assert accepting.has_more
    assert accepting.read(room, 500) == b""
    assert accepting.read(room, 500) == b"x" * 1000
    assert not accepting.has_more


def test_data_before_close_notify_is_read_first(ends: Ends) -> None:
    opening, accepting = ends
    shake_hands(ends)
    room = Room()
    accepting.read(room)
    opening.write(b"bye", room)
    opening.close()
    assert accepting.read(room) == b"bye"
    assert accepting.has_more
    assert accepting.read(room) is None


def test_alert_for_a_broken_record_is_sent_at_once(ends: Ends, sockets: tuple[socket.socket, socket.socket]) -> None:
    opening, accepting = ends
    shake_hands(ends)
    room = Room()
    accepting.read(room)
    opening.read(room)
    sockets[0].send(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(TlsError):
        accepting.read(room)
    with pytest.raises(TlsError, match="alert"):
        opening.read(room)


def test_end_without_close_notify_raises_and_close_notify_does_not(ends: Ends) -> None:
    opening, accepting = ends
    shake_hands(ends)
    accepting.read(Room())
    opening.close()
    assert accepting.read(Room()) is None


def test_link_that_breaks_raises(ends: Ends, sockets: tuple[socket.socket, socket.socket]) -> None:
    _, accepting = ends
    shake_hands(ends)
    sockets[0].close()
    with pytest.raises(TlsError):
        accepting.read(Room())
    with pytest.raises(TlsError):
        accepting.write(b"x", Room())


def test_plain_text_fails_the_handshake(ends: Ends, sockets: tuple[socket.socket, socket.socket]) -> None:
    sockets[0].send(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(HandshakeError) as failed:
        ends[1].handshake()
    assert failed.value.failure.code == "not-tls"


def test_close_during_the_handshake_fails_it(ends: Ends, sockets: tuple[socket.socket, socket.socket]) -> None:
    sockets[0].close()
    with pytest.raises(HandshakeError):
        ends[1].handshake()


def test_end_with_an_unknown_ca_is_refused_and_its_certificate_is_recorded(
    ca: Authority, other_ca: Authority, here: Identity, sockets: tuple[socket.socket, socket.socket]
) -> None:
    stranger = other_ca.issue("there.test")
    ends = (
        MutualContext(stranger, [ca.root]).opened(sockets[0], "here.test"),
        MutualContext(here, [ca.root]).accepted(sockets[1]),
    )
    with pytest.raises(HandshakeError):
        shake_hands(ends)
    assert ends[1].presented()
    assert ends[1].engine_errors()


def test_repr_shows_the_state(ends: Ends, sockets: tuple[socket.socket, socket.socket]) -> None:
    assert ends[0].fileno() == sockets[0].fileno()


@pytest.mark.parametrize(("updates", "is_read"), [(MOST_AFTER_HANDSHAKE // 4, True), (2 * MOST_AFTER_HANDSHAKE, False)])
def test_key_updates_are_bounded(
    here: Identity, sockets: tuple[socket.socket, socket.socket], tmp_path: Path, updates: int, *, is_read: bool
) -> None:
    """OpenSSL would work on all that are there in one read."""
    accepting, client = ClientPortContext(here).accepted(sockets[1]), RecordWriter(tmp_path)
    sockets[0].send(client.shake_hands(b""))
    assert accepting.handshake() is Progress.WANT_READ
    sockets[0].send(client.shake_hands(sockets[0].recv(RECORD)))
    assert accepting.handshake() is Progress.DONE
    sockets[0].send(client.key_updates(updates) + client.data(b"hello"))
    if is_read:
        assert bytes(accepting.read(Room()) or b"") == b"hello"
    else:
        with pytest.raises(TlsError, match="KeyUpdate"):
            accepting.read(Room())


def in_records(message: bytes, length: int) -> bytes:
    """A handshake message in records of *length* octets."""
    parts = [message[at : at + length] for at in range(0, len(message), length)]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2) + part for part in parts)


def test_client_hello_in_thousands_of_tiny_records_is_refused(
    ends: Ends, sockets: tuple[socket.socket, socket.socket]
) -> None:
    """OpenSSL would work on each of them. It comes in two parts, whose border is inside a record."""
    begun = in_records(b"\x01\x01\xff\x00\x03\x03" + bytes(MOST_TINY), 1)
    half = len(begun) // 2 + 2
    sockets[0].send(begun[:half])
    assert ends[1].handshake() is Progress.WANT_READ
    sockets[0].send(begun[half:])
    with pytest.raises(HandshakeError, match="too many records of a few octets"):
        ends[1].handshake()


def test_client_hello_in_many_records_is_accepted(ends: Ends, sockets: tuple[socket.socket, socket.socket]) -> None:
    """The message of a real client in records of one or two octets."""
    assert ends[0].handshake() is Progress.WANT_READ
    hello = sockets[1].recv(RECORD)[5:]
    sockets[0].send(in_records(hello, len(hello) // MOST_TINY + 1))
    ends[1].handshake()
    assert ends[1].greeted
    shake_hands(ends)


def test_long_client_hello_in_larger_records_is_read(ends: Ends, sockets: tuple[socket.socket, socket.socket]) -> None:
    sockets[0].send(in_records(b"\x01\x01\xff\x00\x03\x03" + bytes(2 * MOST_TINY), 16))
    assert ends[1].handshake() is Progress.WANT_READ
