"""What `sipmesh register --stay` prints of each event."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest

from client.home import Certificates, Home, running
from sipmesh.cli.client.staying import Staying
from sipmesh.client.agent import UserAgent
from sipmesh.client.call import IncomingCall
from sipmesh.client.outcome import Outcome


@dataclass
class Printed:
    """What `sipmesh register` prints of a first response."""

    statuses: list[int] = field(default_factory=list)

    def tell(self, _agent: UserAgent, outcome: Outcome) -> None:
        self.statuses.append(outcome.status)


def staying(*, as_json: bool = False) -> tuple[Staying, Printed]:
    printed = Printed()
    return Staying(printed.tell, as_json=as_json), printed


@running
async def test_first_registration_is_printed_in_full_and_later_registrations_in_one_line(
    certificates: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    printer, printed = staying()
    async with Home(certificates) as home:
        alice, other = await home.agent("alice"), await home.agent("alice")
        for agent in (alice, alice, other, other):
            printer.registered(agent, await agent.register(), 600)
        assert other.link is not None
        where = f"{other.link.remote[0]}:{other.link.remote[1]}"
    assert printed.statuses == [200]
    first, waiting, refreshed, again, last = capsys.readouterr().out.splitlines()
    assert first.startswith("Registered for 600 s, until ")
    assert waiting == "Waiting for messages and calls. To stop: Ctrl-C"
    assert refreshed.startswith("Refreshed, until ")
    assert again.startswith(f"Registered again at {where}, until ")
    assert last.startswith("Refreshed, until ")


@running
async def test_messages_and_calls_are_printed_with_the_asserted_identity(
    certificates: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    printer, _ = staying()
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob")
        headers = [("p-asserted-identity", "<sip:alice@example.test>"), ("content-type", "text/plain")]
        await alice.request("MESSAGE", "bob@example.test", headers, b"hello")
        await alice.message("bob@example.test", "again")
        for _ in range(2):
            printer.event(await bob.events.get())
        await (await alice.call("bob@example.test")).hang_up()
        call = await bob.events.get()
        printer.event(call)
        assert isinstance(call, IncomingCall)
        await call.over()
        await asyncio.gather(*printer._calls)
    assert capsys.readouterr().out.splitlines() == [
        "message from sip:alice@example.test, identity asserted by the server: sip:alice@example.test",
        "  hello",
        "message from sip:alice@example.test, identity asserted by the server: none",
        "  again",
        "call from sip:alice@example.test, identity asserted by the server: none",
        "call with sip:alice@example.test is over",
    ]


@running
async def test_json_has_one_object_for_each_event_and_no_line_for_people(
    certificates: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    printer, printed = staying(as_json=True)
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob")
        printer.registered(bob, await bob.register(), 600)
        printer.registered(bob, await bob.register(), 60)
        await alice.message("bob@example.test", "hello")
        printer.event(await bob.events.get())
        printer.lost("the link was closed", 2.5)
    assert printed.statuses == [200]
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"what": "registered", "seconds": 600},
        {"what": "refreshed", "seconds": 60},
        {"what": "message", "from": "sip:alice@example.test", "identity": None, "text": "hello"},
        {"what": "lost", "why": "the link was closed", "wait_s": 2.5},
    ]


@running
async def test_closed_printer_waits_for_no_call(certificates: Certificates) -> None:
    printer, _ = staying()
    async with Home(certificates) as home:
        alice, bob = await home.agent("alice"), await home.agent("bob")
        await alice.call("bob@example.test")
        printer.event(await bob.events.get())
        [waiting] = printer._calls
        printer.close()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
    assert printer._calls == set()


def test_lost_registration_is_printed_with_the_next_try(capsys: pytest.CaptureFixture[str]) -> None:
    printer, _ = staying()
    printer.lost("the link was closed", 1.25)
    assert capsys.readouterr().out == "NOT registered: the link was closed; next try in 1.2 s\n"
