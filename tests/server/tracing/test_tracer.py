"""The traces of one server, with phones over TLS and WebSocket: what they take, how much, and when they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.tracing import tracer as module
from sipmesh.server.tracing.traced_message import TracedMessage
from sipmesh.server.tracing.tracer import MOST_TRACES, Tracer
from sipmesh.transport.websocket.frames import WebSocketFrames
from support.network import FE1, Network
from support.running import LOOK_AGAIN_S, on_loop


def tracer_of(network: Network, server: str = FE1) -> Tracer:
    return network.nodes[server].tracer


def take(network: Network, what: str, *, name: str = "t1", bodies: bool = False) -> list[TracedMessage]:
    return list(tracer_of(network).take(name, what, "ada (1)", with_bodies=bodies).messages)


@on_loop
async def test_message_is_shown_as_it_comes_and_as_it_goes(home: Network) -> None:
    async with home:
        alice, _bob = await home.agent("alice", FE1), await home.agent("bob", FE1)
        assert home.nodes[FE1].reactor.tap is None
        assert take(home, "bob") == []
        assert (await alice.message("bob@example.test", "s-e-c-r-e-t")).status == 200
        shown = take(home, "bob")
        told = [(one.received, one.peer, one.told) for one in shown]
        assert (True, "alice@example.test", "MESSAGE") in told
        assert (False, "bob@example.test", "MESSAGE") in told
        assert (True, "bob@example.test", "200 OK") in told
        assert (False, "alice@example.test", "200 OK") in told
        assert {one.proof for one in shown} == {"login of alice@example.test", "login of bob@example.test"}
        assert {one.code for one in shown} == {"accepted"}
        assert not any("s-e-c-r-e-t" in one.head + one.body for one in shown)
        take(home, "bob", name="t2", bodies=True)
        await alice.message("bob@example.test", "s-e-c-r-e-t")
        assert any("s-e-c-r-e-t" in one.body for one in take(home, "bob", name="t2", bodies=True))


@on_loop
async def test_login_is_shown_without_what_proves_the_password(home: Network) -> None:
    async with home:
        take(home, "alice")
        await home.agent("alice", FE1)
        heads = [one.head for one in take(home, "alice")]
        assert any('username="alice"' in head for head in heads)
        assert any("WWW-Authenticate" in head for head in heads)
        assert not any(f'{key}="' in head for head in heads for key in ("response", "cnonce", "nonce"))


@on_loop
async def test_refresh_that_is_answered_from_memory_is_shown_too(home: Network) -> None:
    """A refresh that repeats the last REGISTER is otherwise answered before it is parsed."""
    async with home:
        alice = await home.agent("alice", FE1)
        for _ in range(3):
            assert (await alice.register()).status == 200
        take(home, "alice")
        assert (await alice.register()).status == 200
        assert [one.told for one in take(home, "alice")] == ["REGISTER", "200 OK"]


@on_loop
async def test_other_users_are_not_shown(home: Network) -> None:
    async with home:
        alice, _bob = await home.agent("alice", FE1), await home.agent("bob", FE1)
        take(home, "carol")
        await alice.message("bob@example.test", "hello")
        assert take(home, "carol") == []


@on_loop
async def test_trace_that_is_not_read_ends(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace that is read goes on. The links look for no trace after the last one."""
    monkeypatch.setattr(module, "LIVES_S", 0.2)
    async with home:
        take(home, "alice", name="left")
        reactor = home.nodes[FE1].reactor
        assert reactor.tap is tracer_of(home)
        tracer = tracer_of(home)
        while reactor.tap is not None:
            tracer.tick()
            await asyncio.sleep(LOOK_AGAIN_S)


@on_loop
async def test_traces_and_their_messages_are_bounded(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    async with home:
        alice, _bob = await home.agent("alice", FE1), await home.agent("bob", FE1)
        take(home, "bob")
        await alice.message("bob@example.test", "hello")
        reply = tracer_of(home).take("t1", "bob", "ada (1)", with_bodies=False)
        assert (len(reply.messages), reply.left_out >= 2) == (2, True)
        for number in range(MOST_TRACES - 1):
            take(home, "bob", name=f"n{number}")
        with pytest.raises(OperatorError, match="traces already"):
            take(home, "bob", name="one more")
        for wrong in ("", "a" * 1_000):
            with pytest.raises(OperatorError, match="a trace needs"):
                take(home, wrong, name="n0")


@pytest.mark.parametrize("octets", [5, 125, 126, 70_000])
def test_frame_of_a_websocket_is_opened(octets: int) -> None:
    """As the frames are made that browsers get."""
    data = b"x" * octets
    assert module._unframed(WebSocketFrames(1 << 20, 8, 8).frame(data)) == data
    assert module._unframed(b"SIP/2.0 200 OK") == b"SIP/2.0 200 OK"


@on_loop
async def test_each_process_of_a_server_is_asked(home: Network) -> None:
    """The command of the control socket has the same messages, as JSON."""
    async with home:
        alice, _bob = await home.agent("alice", FE1), await home.agent("bob", FE1)
        asked: dict[str, Any] = {"id": "t1", "what": "bob", "who": "ada (1)"}
        assert module.trace_asked(tracer_of(home), asked, "ada (1)").messages == []
        await alice.message("bob@example.test", "hello")
        assert module.trace_asked(tracer_of(home), asked, "ada (1)").messages
