"""Ports of this machine for servers that are built and started here; no two processes are given the same port."""

from __future__ import annotations

import atexit
import secrets
import socket
from pathlib import Path
from typing import Final

from sipmesh.errors import OperatorError

HOST: Final = "127.0.0.1"
LOWEST_PORT: Final = 10_000
BLOCK: Final = 500
"""So many ports belong to one process. The first one is never given: the process holds it as long as it runs."""


class PortBlock:
    """A block of ports that this process alone gives away, one after the other; after the last it begins again.

    A server opens its port some time after it was given. Until then the port looks free, so a process that only looks for a
    free port may be given the port of another process. The first port of the block is the claim on the block: the kernel lets
    one process open it, and gives it back when that process ends.
    """

    def __init__(self) -> None:
        self._claim = _claim()
        atexit.register(self._claim.close)
        self._first: int = self._claim.getsockname()[1]
        self._given = 0

    def free_port(self, host: str) -> int:
        """Give the next port of *host* that is not in use; raises `OperatorError` where every port of the block is used."""
        for _ in range(BLOCK - 1):
            port = self._first + 1 + self._given
            self._given = (self._given + 1) % (BLOCK - 1)
            if _is_free(host, port):
                return port
        raise OperatorError(f"every port of {host} from {self._first} to {self._first + BLOCK - 1} is used")


_block: PortBlock | None = None


def free_port(host: str = HOST) -> int:
    """Give a port of *host* that is not in use; raises `OperatorError` where there is none.

    It lies below the ports that the kernel hands to outgoing connections: one of those could take it before it is used.
    """
    global _block  # noqa: PLW0603 (a process has one block)
    if _block is None:
        _block = PortBlock()
    return _block.free_port(host)


def _claim() -> socket.socket:
    """Open the first port of a block that no other process has claimed."""
    blocks = (_first_ephemeral() - LOWEST_PORT) // BLOCK
    start = secrets.randbelow(blocks)
    for number in range(blocks):
        claim = socket.socket()
        try:
            claim.bind((HOST, LOWEST_PORT + (start + number) % blocks * BLOCK))
        except OSError:
            claim.close()
        else:
            return claim
    raise OperatorError(
        f"no {BLOCK} ports of {HOST} from {LOWEST_PORT} on are free: other processes have claimed them all"
    )


def _first_ephemeral() -> int:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return max(first, 2 * LOWEST_PORT)


def _is_free(host: str, port: int) -> bool:
    """Tell whether no process listens; connections of an earlier server that linger in the kernel (TIME_WAIT) do no harm."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
