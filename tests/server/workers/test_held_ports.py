"""The listening sockets of several processes: one port, a socket for each, and no other server on it."""

from __future__ import annotations

import asyncio
import socket

import pytest

from sipmesh.demo.ports import free_port
from sipmesh.errors import OperatorError
from sipmesh.server.workers.held_ports import GivenPorts, HeldPorts
from sipmesh.topology.document.listeners import ListenerSpec
from sipmesh.transport.accept.listener import bind
from sipmesh.transport.limits import Limits
from sipmesh.trust.evidence import LinkKind
from support.running import on_loop

CONNECTIONS = 60


def spec_of(port: int) -> ListenerSpec:
    return ListenerSpec(LinkKind.CLIENT, "127.0.0.1", port, "fe1.example.test", "client")


@on_loop
async def test_connections_are_spread_over_all_workers() -> None:
    """By the hash of their addresses: that none of 60 came to one of two is as likely as 60 heads in a row."""
    opened: list[str] = []
    ports = HeldPorts(2, Limits(), opened.append)
    spec = spec_of(free_port())
    with ports.socket_for(spec):
        assert (opened, ports.keys, ports.address("client")) == (["client"], ["client"], ("127.0.0.1", spec.port))
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", spec.port)
        counts = [0, 0]
        for worker in (1, 2):
            ports.of("client", worker).listen()
        for _ in range(CONNECTIONS):
            socket.create_connection(("127.0.0.1", spec.port)).close()
        for worker in (1, 2):
            while _accepts(ports.of("client", worker)):
                counts[worker - 1] += 1
    assert sum(counts) == CONNECTIONS
    assert all(counts)
    ports.close()
    assert not ports.keys


def _accepts(sock: socket.socket) -> bool:
    try:
        sock.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_port_of_another_server_is_not_shared() -> None:
    """Two servers of one user with the same port would take each other's connections."""
    spec = spec_of(free_port())
    with bind(spec, Limits()), pytest.raises(OperatorError, match="cannot listen"):
        HeldPorts(2, Limits(), lambda _: None).socket_for(spec)
    ports = HeldPorts(2, Limits(), lambda _: None)
    with ports.socket_for(spec):
        ports.of("client", 1).listen()
        with pytest.raises(OperatorError, match="cannot listen"):
            HeldPorts(2, Limits(), lambda _: None).socket_for(spec)
    ports.close()


def test_worker_that_cannot_start_leaves_no_connection_waiting_at_its_sockets() -> None:
    ports = HeldPorts(1, Limits(), lambda _: None)
    spec = spec_of(free_port())
    with ports.socket_for(spec):
        ports.of("client", 1).listen()
        socket.create_connection(("127.0.0.1", spec.port)).close()
        ports.renew(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", spec.port))
        ports.of("client", 1).listen()
        socket.create_connection(("127.0.0.1", spec.port)).close()
    ports.close()


def test_worker_has_the_sockets_that_it_was_given_and_no_others() -> None:
    ports = GivenPorts()
    with socket.socket() as sock:
        ports.give("client", sock)
        assert ports.socket_for(spec_of(1)) is sock
        with pytest.raises(OperatorError, match="client"):
            ports.socket_for(spec_of(1))
