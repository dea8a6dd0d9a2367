"""A callee that answers one request without end reaches the phone of the caller a bounded number of times."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.flow import MOST_FORWARDED
from sipmesh.sip.message import Request, Response
from support.network import FE1, Network
from support.running import on_loop

BOB = "sip:bob@example.test"


@pytest.mark.parametrize("status", [183, 200])
@pytest.mark.parametrize(("sent", "forwarded"), [(MOST_FORWARDED + 100, MOST_FORWARDED), (900, 900)])
@on_loop
async def test_responses_beyond_a_thousand_do_not_come_to_the_caller(
    home: Network, status: int, sent: int, forwarded: int
) -> None:
    """All of 10,000 responses of a partner's edge to one INVITE went to the caller. The first final response always does."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("INVITE", BOB))
        invite = await bob.request_in("INVITE")
        for _ in range(sent):
            await bob.reply(invite, status)
        await bob.reply(invite, 486)
        await alice.send(alice.request("MESSAGE", BOB))
        while not isinstance(asked := await bob.receive(), Request) or asked.method != "MESSAGE":
            pass  # the ACK of the 486
        await bob.reply(asked, 200)
        came: list[tuple[str, int]] = []
        while ("MESSAGE", 200) not in came:
            message = await alice.receive()
            assert isinstance(message, Response)
            came.append((message.cseq.method, message.status))
        assert came.count(("INVITE", status)) == forwarded
        assert came.count(("INVITE", 486)) == (status != 200)
