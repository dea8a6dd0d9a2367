"""Connections whose source port is chosen, as an attacker does who wants to come to one process of a server."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def from_port(port: int, address: tuple[str, int]) -> Iterator[socket.socket]:
    """Connect to *address* from *port*, which is free again at once: the connection ends with a reset."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.bind(("127.0.0.1", port))
        sock.connect(address)
        yield sock
