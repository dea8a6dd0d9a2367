"""A request gets its final response; a challenge is answered first, but not without limit."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.client.exchange import Exchange
from sipmesh.client.line import MOST_ATTEMPTS, ClientLink
from sipmesh.client.login import Login
from sipmesh.client.outcome import Outcome
from sipmesh.client.party import Party
from sipmesh.sip.digest import Algorithm, challenge_values
from sipmesh.sip.message import Request, respond
from sipmesh.sip.uri import SipUri
from support.running import on_jumping_loop
from support.wires import Wire

BOB = "sip:bob@example.test"


class Ends:
    """A client link, and a server that answers with the given statuses in order."""

    def __init__(self, *statuses: int, realm: str = "example.test") -> None:
        self.wire, self.statuses, self.realm = Wire(), list(statuses), realm
        party, login = Party.of(SipUri.parse("sip:alice@example.test")), Login("alice", "example.test", "alice-pw")
        self.line = ClientLink(asyncio.get_running_loop(), self.wire.link, party, login)
        self.asked: list[Request] = []
        self.started: list[Exchange] = []

    async def ask(self) -> Outcome:
        request = self.line.party.outside("MESSAGE", BOB, BOB)
        asking = asyncio.create_task(self.line.ask(request, started=self.started.append))
        for status in self.statuses:
            await asyncio.sleep(0.1)
            self.answer(status)
        return await asking

    def answer(self, status: int) -> None:
        [request] = self.wire.taken()
        assert isinstance(request, Request)
        self.asked.append(request)
        stale = len(self.asked) > 1
        challenge = challenge_values(self.realm, f"n{len(self.asked)}", [Algorithm.SHA_256], stale=stale)[0]
        headers = [("proxy-authenticate", challenge)] if status == 407 else []
        self.line.exchanges.receive(respond(request, status, headers=headers))


@on_jumping_loop
async def test_final_answer_is_the_outcome() -> None:
    ends = Ends(200)
    assert (await ends.ask()).status == 200
    assert (len(ends.asked), len(ends.started)) == (1, 1)


@on_jumping_loop
async def test_challenge_is_answered_in_a_new_transaction() -> None:
    ends = Ends(407, 200)
    assert (await ends.ask()).status == 200
    first, second = ends.asked
    assert (first.first("proxy-authorization"), second.cseq.number) == (None, 2)
    assert second.first("proxy-authorization")


@on_jumping_loop
async def test_stale_nonce_is_answered_once_more() -> None:
    ends = Ends(407, 407, 407)
    assert (await ends.ask()).status == 407
    assert len(ends.asked) == MOST_ATTEMPTS
    assert all(len(request.values("proxy-authorization")) <= 1 for request in ends.asked)


@pytest.mark.parametrize("realm", ["elsewhere.test"])
@on_jumping_loop
async def test_challenge_of_another_realm_is_the_outcome(realm: str) -> None:
    ends = Ends(407, realm=realm)
    assert (await ends.ask()).status == 407
