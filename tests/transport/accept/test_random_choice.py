"""The kernel draws the process that gets a connection: its source port does not decide."""

from __future__ import annotations

import socket
from collections import Counter
from contextlib import ExitStack

import pytest

from sipmesh.demo.ports import free_port
from sipmesh.transport.accept.random_choice import choose_at_random
from support.source_ports import from_port

CONNECTIONS = 60
"""That none of these comes to one of two processes is as likely as 60 heads in a row."""


def listening(stack: ExitStack, port: int, among: int) -> socket.socket:
    """One more socket that listens on *port*, drawn *among* so many; 0 leaves it to the hash."""
    sock = stack.enter_context(socket.socket())
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(CONNECTIONS)
    sock.settimeout(0)
    if among:
        choose_at_random(sock, among)
    return sock


def counts(socks: list[socket.socket], source: int) -> list[int]:
    """Connect again and again from the port *source*; gives how many came to each."""
    address, found = socks[0].getsockname(), Counter[int]()
    for _ in range(CONNECTIONS):
        with from_port(source, address):
            for number, sock in enumerate(socks):
                try:
                    sock.accept()[0].close()
                except BlockingIOError:
                    continue
                found[number] += 1
    return [found[number] for number in range(len(socks))]


@pytest.mark.parametrize(("among", "reached"), [(2, 2), (0, 1)], ids=["drawn", "by-the-hash"])
def test_source_port_chooses_the_process_only_without_the_draw(among: int, reached: int) -> None:
    port, source = free_port(), free_port()
    with ExitStack() as stack:
        socks = [listening(stack, port, among) for _ in range(2)]
        found = counts(socks, source)
        assert sum(found) == CONNECTIONS
        assert len([count for count in found if count]) == reached


def test_every_connection_comes_to_those_that_listen() -> None:
    """One of three processes does not run: the others get what is drawn for it. When it comes back, it has its share again."""
    port, source = free_port(), free_port()
    with ExitStack() as stack:
        socks = [listening(stack, port, 3) for _ in range(3)]
        socks.pop(0).close()
        found = counts(socks, source)
        assert sum(found) == CONNECTIONS
        assert all(found)
        socks.append(listening(stack, port, 3))
        assert all(counts(socks, source))
