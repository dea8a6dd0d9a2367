"""Connections that wait: each address in its turn."""

from __future__ import annotations

import socket

from sipmesh.transport.accept.accept_queue import AcceptedConnection, AcceptQueue


def queue(*sites: str) -> AcceptQueue:
    """A queue of one connection for each of *sites*; ports say in which order they came."""
    made = AcceptQueue()
    for port, site in enumerate(sites):
        with socket.socket() as sock:
            made.put(AcceptedConnection(sock, sock.fileno(), (site, port), site))
    return made


def ports(held: AcceptQueue, *full: str) -> list[int]:
    """Take all that have a place."""
    found = []
    while (connection := held.next(lambda site: site not in full)) is not None:
        found.append(connection.remote[1])
    return found


def test_addresses_take_turns() -> None:
    assert ports(queue("a", "a", "a", "b", "c")) == [0, 3, 4, 1, 2]


def test_address_without_a_place_holds_up_no_other_address() -> None:
    held = queue("a", "a", "b")
    assert ports(held, "a") == [2]
    assert (held.size, ports(held)) == (2, [0, 1])


def test_oldest_of_the_longest_address_is_dropped() -> None:
    held = queue("a", "b", "b")
    assert held.longest() == "b"
    dropped = held.drop("b")
    assert (dropped and dropped.remote, held.drop("c"), len(held)) == (("b", 1), None, 2)


def test_cleared_queue_gives_everything_back() -> None:
    held = queue("a", "b")
    assert [one.remote for one in held.clear()] == [("a", 0), ("b", 1)]
    assert (held.size, held.longest(), ports(held)) == (0, "", [])
