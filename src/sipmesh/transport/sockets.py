"""The few things every TCP socket here has in common."""

from __future__ import annotations

import fcntl
import socket
import sys
import termios
from contextlib import suppress
from typing import Any, Final

KEEPALIVE_IDLE_S: Final = 60
UNACKNOWLEDGED_MS: Final = 30_000  # a peer whose machine is gone is noticed half a minute after the next write

COUNT_BYTES: Final = 4  # of a C int


def keep_alive(sock: socket.socket) -> None:
    """Send at once (messages are coalesced by us), and notice peers that are gone without a word."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)


def address_of(sockaddr: Any) -> tuple[str, int]:
    """Give host and port of what ``getsockname`` and ``accept`` return, which has four parts for IPv6."""
    return sockaddr[0], sockaddr[1]


def close_quietly(sock: socket.socket) -> None:
    """Close a socket that may be gone already."""
    with suppress(OSError):
        sock.close()


def unread(fd: int) -> int:
    """Tell how many octets wait in the socket with the descriptor *fd*; 0 if it is closed."""
    found = bytearray(COUNT_BYTES)
    try:
        fcntl.ioctl(fd, termios.FIONREAD, found)
    except (OSError, ValueError):
        return 0
    return int.from_bytes(found, sys.byteorder)
