"""The settings of every TCP socket."""

from __future__ import annotations

import errno
import socket
from typing import Any

from sipmesh.transport.sockets import (
    IP_BIND_ADDRESS_NO_PORT,
    KEEPALIVE_IDLE_S,
    PROBE_IDLE_S,
    UNACKNOWLEDGED_MS,
    UNANSWERED_MS,
    address_of,
    bind_source,
    close_quietly,
    keep_alive,
    peeked,
    probe_often,
    unread,
)


def test_socket_sends_at_once_and_detects_a_dead_peer() -> None:
    with socket.socket() as sock:
        keep_alive(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == KEEPALIVE_IDLE_S
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNACKNOWLEDGED_MS


def test_socket_between_servers_probes_each_second() -> None:
    with socket.socket() as sock:
        keep_alive(sock)
        probe_often(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == PROBE_IDLE_S
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == PROBE_IDLE_S
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNANSWERED_MS


class OfAnEmulator(socket.socket):
    """A socket of a kernel that does not choose a port late, such as that of qemu-user."""

    def setsockopt(self, level: int, option: int, value: Any) -> None:  # type: ignore[override]
        if option == IP_BIND_ADDRESS_NO_PORT:
            raise OSError(errno.ENOPROTOOPT, "Protocol not available")
        super().setsockopt(level, option, value)


def test_source_is_chosen_also_where_the_kernel_chooses_no_port_late() -> None:
    with socket.socket() as late, OfAnEmulator() as at_once:
        for sock in (late, at_once):
            bind_source(sock, "127.0.0.2", "127.0.0.1")
        assert late.getsockname() == ("127.0.0.2", 0)
        assert at_once.getsockname()[0] == "127.0.0.2"
        assert at_once.getsockname()[1]


def test_address_is_host_and_port_in_either_family() -> None:
    assert address_of(("127.0.0.1", 5061)) == ("127.0.0.1", 5061)
    assert address_of(("::1", 5061, 0, 0)) == ("::1", 5061)


def test_closing_a_closed_socket_is_no_error() -> None:
    sock = socket.socket()
    close_quietly(sock)
    close_quietly(sock)
    assert sock.fileno() == -1


def test_unread_octets_are_counted_and_a_closed_socket_has_none() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert unread(ours.fileno()) == 0
        theirs.sendall(b"x" * 300)
        assert unread(ours.fileno()) == 300
    assert unread(ours.fileno()) == 0


def test_peeked_octets_stay_in_the_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peeked(ours) == b""
        theirs.send(b"octets")
        assert peeked(ours) == b"octets"
        assert ours.recv(99) == b"octets"
    assert peeked(ours) == b""
