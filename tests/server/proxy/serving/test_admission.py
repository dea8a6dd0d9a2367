"""Requests that are refused before it is decided where they go."""

from __future__ import annotations

import pytest

from sipmesh.cli.versions import built
from sipmesh.routing.outcome import DRAINING, Answer
from sipmesh.server.proxy.serving.admission import (
    FOR_CONTROL,
    NO_BREADTH,
    NO_HOPS,
    NOT_ITS_PACKAGE,
    OVERLOADED,
    TOO_MANY_EXCHANGES,
    refused_at_once,
    refused_extension,
    refused_there,
    room_for,
)
from sipmesh.server.proxy.serving.effects import Effect, RefuseForOctets, RefuseForUsers
from sipmesh.trust.evidence import LinkKind
from support.network import FE2, Network
from support.running import on_loop
from support.still_server import StillServer, asked, partner, still_server

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")

ALICE = "sip:alice@example.test"


@pytest.mark.parametrize(
    ("method", "headers", "effect"),
    [
        ("MESSAGE", (), None),
        ("MESSAGE", (("max-forwards", "0"),), NO_HOPS),
        ("ACK", (("max-forwards", "0"),), None),
        ("MESSAGE", (("max-breadth", "0"),), NO_BREADTH),
        ("MESSAGE", (("max-breadth", "1"),), None),
        ("MESSAGE", (("proxy-require", "privacy"),), None),
        ("SUBSCRIBE", (("event", "sipmesh"),), NOT_ITS_PACKAGE),
        ("SUBSCRIBE", (("event", "presence"),), None),
    ],
)
@on_loop
async def test_what_a_request_says(
    home: Network, method: str, headers: tuple[tuple[str, str], ...], effect: Effect | None
) -> None:
    async with still_server(home.organisations[0]) as server:
        assert refused_at_once(server.state, server.phone(), asked(method, "sip:bob@example.test", *headers)) == effect


def test_extension_that_no_proxy_has_is_named() -> None:
    refused = refused_extension(asked("MESSAGE", "sip:bob@example.test", ("proxy-require", "teleport,privacy")))
    assert refused == Answer(420, headers=(("Unsupported", "teleport"),))


@pytest.mark.parametrize(
    ("method", "uri", "effect"),
    [
        ("MESSAGE", "sip:bob@example.test", FOR_CONTROL),
        ("OPTIONS", "sip:bob@example.test", FOR_CONTROL),
        ("OPTIONS", "sip:example.test", None),
    ],
)
@on_loop
async def test_control_link_has_no_requests_of_users(
    home: Network, method: str, uri: str, effect: Answer | None
) -> None:
    async with still_server(home.organisations[0]) as server:
        flow = server.server(FE2)
        for control, agreed in ((True, True), (True, False), (False, True)):
            flow.link.is_control, flow.link.agreed_on_control = control, agreed  # type: ignore[misc]
            assert refused_there(flow, asked(method, uri)) == (effect if control and agreed else None)


@on_loop
async def test_what_the_server_has_room_for(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        state, alice = server.state, server.phone()
        state.max_exchanges = 0
        assert refused_at_once(state, alice, asked("MESSAGE")) == TOO_MANY_EXCHANGES
        alice.account.add(alice.account.most_branches, 0)
        assert refused_at_once(state, alice, asked("MESSAGE")) == RefuseForOctets(alice.account)
        assert refused_at_once(state, alice, asked("ACK")) is None
        state.is_draining = True
        assert refused_at_once(state, alice, asked("ACK")) == DRAINING


@on_loop
async def test_overload_refuses_new_requests(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        state, alice = server.state, server.phone()
        for refuses in (True, False):
            state.admission.overload.active = True
            monkeypatch.setattr(type(state.admission), "is_refused", lambda *_, refuses=refuses: refuses)
            assert refused_at_once(state, alice, asked("MESSAGE")) == (OVERLOADED if refuses else None)


def from_partner(server: StillServer, to: str, tag: str = "") -> Effect | None:
    """Ask about a request of a partner to *to*."""
    flow = server.flow(LinkKind.PARTNER, partner(server))
    return refused_at_once(server.state, flow, asked("MESSAGE", to, sender="sip:carol@partner.test", tag=tag))


@on_loop
async def test_partner_addresses_so_many_different_users_and_is_refused_the_next(federation: Network) -> None:
    async with still_server(federation.organisations[0]) as server:
        addressed = server.state.accounts.addressed
        addressed._most = addressed._most_of_sender = 2
        outcomes = [from_partner(server, f"sip:{name}@example.test") for name in ("alice", "bob", "carol", "bob")]
        assert outcomes == [None, None, RefuseForUsers(), None]
        assert from_partner(server, "sip:carol@example.test", tag="2") is None


@on_loop
async def test_account_of_the_sender_has_to_have_room(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        mate = server.server(FE2)
        received = server.received(mate, asked("MESSAGE"))
        assert room_for(server.state, received, ALICE) is None
        assert received.account is not None
        assert received.account.within is mate.account
        mate.account.add(mate.account.most_branches, 0)
        assert room_for(server.state, received, ALICE) == RefuseForOctets(mate.account)
