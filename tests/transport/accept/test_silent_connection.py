"""A connection that has sent nothing tells who waits for it that octets have come, or that they have not."""

from __future__ import annotations

import select
import socket

from sipmesh.transport.accept.accept_queue import AcceptedConnection
from sipmesh.transport.accept.silent_connection import SilentConnection


class Told:
    """Notes its events."""

    def __init__(self) -> None:
        self.told: list[tuple[SilentConnection, float]] = []

    def spoke(self, silent: SilentConnection) -> None:
        self.told.append((silent, 0.0))

    def still_silent(self, silent: SilentConnection, now: float) -> None:
        self.told.append((silent, now))


def test_first_octets_and_the_deadline_are_noted() -> None:
    told = Told()
    with socket.socket() as sock:
        connection = AcceptedConnection(sock, sock.fileno(), ("192.0.2.1", 5061), "192.0.2.1")
        silent = SilentConnection(connection, told, 7.0)
        silent.ready(select.EPOLLIN)
        silent.due(12.0)
        silent.flush()
        silent.broken(ZeroDivisionError())
    assert told.told == [(silent, 0.0), (silent, 12.0)]
    assert (silent.since, silent.connection) == (7.0, connection)
