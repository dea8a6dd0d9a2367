"""How an agent answers the requests that it receives."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from client.home import Certificates, Home, incoming, running
from sipmesh.client.answering import MOST_CALLS, MOST_EVENTS, Answering, Manners
from sipmesh.client.dialog import Happened
from sipmesh.client.line import ClientLink
from sipmesh.client.login import Login
from sipmesh.client.party import Party
from sipmesh.sip.framing import MessageReader, ReadLimits
from sipmesh.sip.message import Request, Response, build_request
from sipmesh.sip.uri import SipUri


@running
async def test_busy_agent_refuses_a_message(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob", busy=True)
        assert (await alice.message("bob@example.test", "hello")).status == 486
        assert bob.events.empty()


@running
async def test_options_is_answered_by_an_agent_and_by_its_server(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice, _ = await home.agent("alice"), await home.agent("bob")
        assert (await alice.options()).status == 200
        outcome = await alice.options("bob@example.test")
    assert "MESSAGE" in (outcome.response.first("allow") or "")


@running
async def test_a_request_for_a_call_that_is_over_is_answered_with_481(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob")
        call = await alice.call("bob@example.test")
        answered = await incoming(bob)
        await call.hang_up()
        await answered.over()
        assert call.dialog is not None
        line = call.line
        assert (await line.ask(line.party.inside(call.dialog, "BYE"))).status == 481


@pytest.mark.parametrize(("header", "status"), [("x-other", 200), ("require", 420)])
def test_an_extension_that_is_required_of_an_agent_is_refused(
    certificates: Certificates, header: str, status: int
) -> None:
    @running
    async def asked() -> None:
        async with Home(certificates) as home:
            alice, _ = await home.agent("alice"), await home.agent("bob")
            uri = "sip:bob@example.test"
            assert alice._line is not None
            asking = alice.party.outside("MESSAGE", uri, uri, [(header, "100rel")], b"x", content_type="text/plain")
            assert (await alice._line.ask(asking)).status == status

    asked()


@running
async def test_malformed_request_is_answered_and_has_no_other_effect(certificates: Certificates) -> None:
    async with Home(certificates) as home:
        alice = await home.agent("alice")
        broken = build_request("MESSAGE", "sip:alice@example.test", [("via", "SIP/2.0/TLS h;branch=z9hG4bK1;link=9")])
        home.links[0].send(broken.encode())
        assert (await alice.options()).status == 200


class Written:
    """What an agent writes to its link."""

    def __init__(self) -> None:
        self.messages: list[Request | Response] = []

    def send(self, message: bytes) -> bool:
        self.messages += [
            one for one in MessageReader(ReadLimits()).feed(message) if isinstance(one, Request | Response)
        ]
        return True


ALICE, BOB = (Party.of(SipUri.parse(f"sip:{user}@example.test")) for user in ("alice", "bob"))


@dataclass
class Agent:
    """Bob's agent, without a server: *written* has its answers."""

    written: Written
    answering: Answering

    @classmethod
    def of(cls, manners: Manners, most_events: int = MOST_EVENTS) -> Agent:
        written = Written()
        line = ClientLink(asyncio.get_running_loop(), written, BOB, Login("bob", "example.test", ""))  # type: ignore[arg-type]
        return cls(written, Answering(line, manners, asyncio.Queue(most_events)))

    def asked(self, method: str, to: str = "sip:bob@example.test", **more: Any) -> list[int]:
        """Receive a request of alice; gives the statuses of all answers so far."""
        self.answering.serve(ALICE.outside(method, to, to, [("contact", ALICE.contact)], **more))
        return [one.status for one in self.written.messages if isinstance(one, Response)]


@running
async def test_message_that_is_not_read_is_refused_when_the_queue_is_full() -> None:
    agent = Agent.of(Manners(), most_events=2)
    for expected in (200, 200, 480):
        assert agent.asked("MESSAGE", body=b"x", content_type="text/plain")[-1] == expected
    assert agent.asked("INVITE")[-1] == 486
    agent.answering.events.get_nowait()
    assert agent.asked("MESSAGE", body=b"x", content_type="text/plain")[-1] == 200


@running
async def test_call_beyond_the_limit_is_refused_until_another_has_ended() -> None:
    agent = Agent.of(Manners(accept_calls=False))
    for _ in range(MOST_CALLS):
        assert agent.asked("INVITE")[-1] == 180
    assert agent.asked("INVITE")[-1] == 486
    agent.answering.calls[0].happened(Happened.FAILURE)
    assert agent.asked("INVITE")[-1] == 180


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("SUBSCRIBE", 405), ("CANCEL", 481)])
def test_method_that_an_agent_does_not_support_is_refused(method: str, status: int) -> None:
    @running
    async def asked() -> None:
        assert Agent.of(Manners()).asked(method) == [status]

    asked()


@running
async def test_closed_link_ends_all_calls() -> None:
    agent = Agent.of(Manners(accept_calls=False))
    agent.asked("INVITE")
    [call] = agent.answering.calls
    agent.answering.lose()
    await call.over()
    assert agent.answering.calls == []
