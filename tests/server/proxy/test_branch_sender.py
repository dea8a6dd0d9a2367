"""What becomes of a branch: it is sent, lost, or refused here."""

from __future__ import annotations

from typing import Any

import pytest

from sipmesh.cli.versions import built
from sipmesh.routing.outcome import Forward
from sipmesh.routing.proxy.effects import Start
from sipmesh.routing.proxy.response_context import ResponseContext
from sipmesh.routing.target import FlowTarget, Found, ServerTarget
from sipmesh.server.proxy.branch_sender import LOST, SENT
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.proxy.liveness.outages import Outages
from sipmesh.sip.framing import MAX_ROWS
from sipmesh.sip.message import Request
from sipmesh.trust.evidence import LinkKind
from support.network import FE2, Network
from support.running import on_loop
from support.still_server import StillServer, asked, forward, methods, statuses, still_server, to

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
still = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")


def sent(server: StillServer, came_on: Flow, request: Request, start: Start) -> int:
    """What becomes of one branch of *request*."""
    proxied = server.core._transactions.begin(server.received(came_on, request))
    proxied.context = ResponseContext.of(request, (start.target,))
    proxied.context.start()
    return server.parts.relays.relay._sender.send(proxied, start, None)


@still
@on_loop
async def test_branch_is_sent_or_lost_with_its_flow(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob = server.phone(), server.registered("bob")
        assert sent(server, alice, asked("MESSAGE"), Start(0, to(bob))) == SENT
        assert methods(bob) == ["MESSAGE"]
        link: Any = bob.link
        link.usable = False
        assert sent(server, alice, asked("MESSAGE"), Start(0, to(bob))) == LOST


@pytest.mark.parametrize(("room", "status"), [(0, [100, 413]), (1 << 20, [100])])
@still
@on_loop
async def test_branch_needs_room_on_its_link(home: Network, room: int, status: list[int]) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob = server.phone(), server.registered("bob")
        link: Any = bob.link
        link.room = room
        forward(server, alice, asked("INVITE"), to(bob))
        assert statuses(alice) == status


@still
@on_loop
async def test_flow_without_room_now_is_not_gone(home: Network) -> None:
    """A 430 would have the server of the caller remove the binding."""
    async with still_server(home.organisations[0]) as server:
        mate, bob = server.server(FE2), server.registered("bob")
        link: Any = bob.link
        link.room, link.can_hold = 0, lambda _size: True
        forward(server, mate, asked("MESSAGE"), FlowTarget(bob.number, next(iter(bob.owners)), BOB, found=Found.TOKEN))
        forward(server, mate, asked("MESSAGE"), FlowTarget(1 << 40, next(iter(bob.owners)), BOB, found=Found.TOKEN))
        forward(server, mate, asked("MESSAGE"), to(bob))
        assert statuses(mate) == [480, 430, 480]


@still
@on_loop
async def test_request_that_the_next_hop_would_not_read_is_refused(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob = server.phone(), server.registered("bob")
        long = asked("MESSAGE", BOB, *(("x-row", "1") for _ in range(MAX_ROWS - 6)))
        forward(server, alice, long, to(bob))
        assert statuses(alice) == [513]
        nameless = server.received(alice, asked("INVITE"))
        alice.sender = None
        server.parts.relays.relay.forward(server.core._transactions.begin(nameless), Forward((to(bob),), ALICE))
        assert statuses(alice) == [513, 100, 480]


@still
@on_loop
async def test_server_that_does_not_answer_gets_no_branch(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, mate = server.phone(), ServerTarget((FE2,), LinkKind.SERVER, BOB)
        monkeypatch.setattr(server.state.outages, "names", {FE2: None})
        monkeypatch.setattr(Outages, "forbids", lambda *_, **__: True)
        forward(server, alice, asked("MESSAGE"), mate)
        assert statuses(alice) == [503]
        server.state.outages.names.clear()
