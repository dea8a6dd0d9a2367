"""How much of what a peer sends waits in the kernel while its receiver does not read."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

LEAST = 1
"""A send buffer of one octet: the kernel makes it a few KiB."""


def send_until_full(sock: socket.socket) -> int:
    """Send on a non-blocking socket until the kernel refuses; gives the octets that it has taken."""
    return sum(_sent(sock))


def _sent(sock: socket.socket) -> Iterator[int]:
    with suppress(BlockingIOError):
        while True:
            yield sock.send(b"x" * 1024)
