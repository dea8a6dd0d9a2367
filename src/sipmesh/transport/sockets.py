"""What every TCP socket of this server has in common."""

from __future__ import annotations

import fcntl
import socket
import sys
import termios
from contextlib import suppress
from typing import Any, Final

KEEPALIVE_IDLE_S: Final = 60
UNACKNOWLEDGED_MS: Final = 30_000  # a dead peer is noticed this long after the next write

PROBE_IDLE_S: Final = 1
"""Between servers the kernel probes after a second without a segment, and then each second."""

UNANSWERED_MS: Final = 4_000
"""Between servers: how long the peer's kernel may acknowledge nothing, neither octets nor probes."""

IP_BIND_ADDRESS_NO_PORT: Final = 24  # of linux/in.h; Python has no name for it
DISCARD_PORT: Final = 9
COUNT_BYTES: Final = 4  # of a C int
PEEKED: Final = 512


def keep_alive(sock: socket.socket) -> None:
    """Send small writes at once (we join messages ourselves), and detect peers that disappeared without closing."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)


def bind_source(sock: socket.socket, source: str, target: str) -> None:
    """Have *sock* connect from the address *source*; the kernel chooses it where this machine does not have that address.

    It chooses too if *target* cannot be reached from *source*: by another IP version, or outside of the loopback network. The
    port is chosen when *sock* connects, so that it counts for this target alone. Emulators of a kernel do not have that option:
    there it is chosen at once.
    """
    if not source or (":" in source) != (":" in target) or (is_loopback(source) and not is_loopback(target)):
        return
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    with suppress(OSError):
        sock.bind((source, 0))


def is_loopback(address: str) -> bool:
    """Tell whether an IP address is of the loopback network."""
    return address.startswith("127.") or address == "::1"


def is_of_this_machine(address: str) -> bool:
    """Tell whether this machine has an IP address: then it is its own way there. No packet is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, DISCARD_PORT))
        except OSError:
            return False
        return bool(probe.getsockname()[0] == address)


def probe_often(sock: socket.socket) -> None:
    """Detect within five seconds that the network to another server is split, in one direction or in both.

    The kernel of the peer answers, so this works with servers of any make, and says nothing about a server that hangs.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)


def address_of(sockaddr: Any) -> tuple[str, int]:
    """Return host and port of an address from ``getsockname`` or ``accept``; for IPv6 that address has four parts."""
    return sockaddr[0], sockaddr[1]


def close_quietly(sock: socket.socket) -> None:
    """Close a socket that may be closed already; a network error is ignored."""
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


def peeked(sock: socket.socket, most: int = PEEKED) -> bytes:
    """Return the first octets that wait to be read, *most* of them, without reading them; empty if there are none."""
    try:
        return sock.recv(most, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return b""
