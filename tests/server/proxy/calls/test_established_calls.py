"""What is kept of a call from its 2xx to the answer to its BYE, or to the end of the time that it may last."""

from __future__ import annotations

from typing import Any

import pytest

from sipmesh.cli.versions import built
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.target import ServerTarget
from sipmesh.server.proxy.flow import Flow
from sipmesh.sip.message import Request
from sipmesh.trust.evidence import LinkKind
from support.descriptions import SDES, with_body
from support.network import FE1, Network
from support.running import on_loop
from support.still_server import (
    StillServer,
    answer,
    asked,
    bye_of,
    forward,
    methods,
    sent_to,
    statuses,
    still_server,
    written_on,
)
from support.trunks import GATEWAY, OF_PBX, PROVIDER

still = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")


@still
@on_loop
async def test_call_begins_and_ends(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob = server.phone(), server.registered("bob")
        came = sent_to(server, alice, with_body(asked("INVITE"), SDES), bob)
        answer(server, bob, came, 200, ("contact", "<sip:bob@192.0.2.9>"))
        calls = server.parts.relays.relay.calls.table
        assert len(calls) == 1
        ended = sent_to(server, alice, bye_of(came, alice), bob)
        assert len(calls) == 1  # it may be refused
        answer(server, bob, ended, 200)
        assert len(calls) == 0


def to_trunk(server: StillServer, inside: Flow, request: Request) -> tuple[Flow, Request]:
    """Have a request of a front end forwarded to the trunk; gives its link, and what it receives."""
    forward(server, inside, request, ServerTarget((PROVIDER,), LinkKind.PARTNER, f"sip:{OF_PBX}@{PROVIDER}"))
    [trunk] = server.links.made.values()
    sent = written_on(trunk)[-1]
    assert isinstance(sent, Request)
    return trunk, sent


def call_out(server: StillServer, inside: Flow) -> tuple[Flow, Request]:
    """Have a call of a front end to the trunk answered; gives the link of the trunk, and the INVITE."""
    request = asked("INVITE", f"sip:{OF_PBX}@example.test", ("contact", "<sip:alice@192.0.2.1>"))
    trunk, came = to_trunk(server, inside, request)
    answer(server, trunk, came, 200, ("contact", f"<sip:{OF_PBX}@192.0.2.7>"))
    return trunk, request


@still
@on_loop
async def test_call_with_a_trunk_ends_by_the_answer_to_its_bye(trunked: Organisation) -> None:
    async with still_server(trunked, GATEWAY) as server:
        inside = server.server(FE1)
        _, invite = call_out(server, inside)
        trunk, bye = to_trunk(server, inside, bye_of(invite, inside))
        answer(server, trunk, bye, 200)
        assert statuses(inside) == [100, 200, 200]


@still
@on_loop
async def test_call_with_a_trunk_that_lasts_too_long_or_does_not_answer_its_bye_ends(
    trunked: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with still_server(trunked, GATEWAY) as server:
        inside, relay = server.server(FE1), server.parts.relays.relay
        call_out(server, inside)
        _, invite = call_out(server, inside)
        trunk, _ = to_trunk(server, inside, bye_of(invite, inside))
        late: Any = lambda: 1e9  # noqa: E731 - a clock
        monkeypatch.setattr(relay, "_clock", late)
        while relay.sweep(1):
            pass
        assert (methods(trunk).count("BYE"), methods(inside)) == (3, ["BYE", "BYE"])
