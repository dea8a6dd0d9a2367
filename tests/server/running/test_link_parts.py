"""What opens, accepts and closes the links of one server."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.proxy.outside import Ports
from sipmesh.server.running.link_parts import upgrade_policy
from sipmesh.server.running.worker_place import WorkerPlace
from sipmesh.topology.document.listeners import ListenerSpec
from sipmesh.topology.view import view
from sipmesh.transport.websocket.pages import NO_PAGES
from sipmesh.trust.evidence import LinkKind
from support.network import FE1
from support.running import on_loop
from support.server_parts import ServerParts, server_parts
from support.web_peer import open_websocket

ORIGIN = "https://phone.example.test"


class GivenSocket(Ports):
    """One socket that another process has opened."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.asked: list[str] = []

    def socket_for(self, spec: ListenerSpec) -> socket.socket:
        """Return the socket; raises `OperatorError` for any other port than the client port."""
        self.asked.append(spec.key)
        if spec.kind is not LinkKind.CLIENT:
            raise OperatorError("no such socket")
        return self.socket


def started(parts: ServerParts) -> ServerParts:
    """Listen on every port of the server."""
    parts.peers.certificates.load()
    parts.links.listening.start(parts.setup.view.listeners, is_managed=False)
    return parts


@on_loop
async def test_only_client_ports_count_strangers(example: Organisation) -> None:
    """Servers and partners are known by their certificates."""
    async with server_parts(example, FE1) as parts:
        listeners = started(parts).links.listening.listeners
        has_room = {listener.kind: listener.has_room == parts.peers.accounts.has_room for listener in listeners}
        parts.links.listening.close()
        assert has_room == {LinkKind.CLIENT: True, LinkKind.SERVER: False}


@on_loop
async def test_ports_of_a_worker_are_the_sockets_that_it_was_given(example: Organisation) -> None:
    async with server_parts(example, FE1, WorkerPlace(1, 2)) as parts:
        given = parts.setup.outside.ports = GivenSocket()
        parts.peers.certificates.load()
        client, server = sorted(parts.setup.view.listeners, key=lambda spec: spec.kind is not LinkKind.CLIENT)
        parts.links.listening.adopt(client)
        [listener] = parts.links.listening.listeners
        assert listener.address == given.socket.getsockname()
        with pytest.raises(OperatorError, match="no such socket"):
            parts.links.listening.adopt(server)
        parts.links.listening.close()
        assert given.asked == [client.key, server.key]


@on_loop
async def test_websocket_port_makes_links_that_speak_websocket(example: Organisation) -> None:
    open_websocket(example, origins=[ORIGIN])
    async with server_parts(example, FE1) as parts:
        parts.peers.certificates.load()
        spec = next(spec for spec in parts.setup.view.listeners if spec.is_websocket)
        parts.links.listening.adopt(replace(spec, port=0))
        [listener] = parts.links.listening.listeners
        assert type(listener.new_link()).__name__ == "WebSocketLink"
        assert ORIGIN in parts.links._upgrade_policy().origins
        parts.links.listening.close()


@on_loop
async def test_view_in_force_decides_who_may_open_a_websocket(example: Organisation) -> None:
    async with server_parts(example, FE1) as parts:
        assert not parts.links._upgrade_policy().origins
        open_websocket(example, origins=[ORIGIN])
        parts.put(example)
        assert parts.links._upgrade_policy().origins == {ORIGIN}


@on_loop
async def test_nothing_is_closed_where_there_is_no_link(example: Organisation) -> None:
    async with server_parts(example, FE1) as parts:
        assert parts.links.judge_again() == []


def test_names_for_websocket_are_those_of_the_certificates_and_the_topology(example: Organisation) -> None:
    own = view(example.load(), FE1)
    policy = upgrade_policy(own, frozenset({"sip.example.test"}))
    assert {FE1, "sip.example.test"} <= policy.hosts
    assert policy.pages is NO_PAGES
