"""What a partner cannot do with the requests of our users that it gets: send them back into our network, again and again.

Each attack is beside a request of the partner's own user, which passes.
"""

from __future__ import annotations

import pytest

from sipmesh.sip.message import Request
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, FE2, PARTNER_EDGE, Network
from support.peer import Peer
from support.running import on_loop

ALICE, BOB, ERIN = "sip:alice@example.test", "sip:bob@example.test", "sip:erin@partner.test"


async def sent_out(federation: Network) -> tuple[Peer, Peer, Request]:
    """Have alice send a MESSAGE to the partner, whose edge is a peer; give alice, the partner's edge and the request there."""
    alice = await federation.phone("alice", FE1)
    partner = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
    await alice.send(alice.request("MESSAGE", ERIN))
    return alice, partner, await partner.request_in("MESSAGE")


def returned(partner: Peer, came: Request, to: str, sender: str) -> Request:
    """Make the request that the partner sends on: all of our Vias are still in it, and it may go on for ever."""
    again = came.copy()
    again.set_uri(to)
    again.prepend("via", partner.via())
    again.replace("from", f"<{sender}>;tag={came.from_.tag}")
    again.replace("max-forwards", "255")
    again.append("max-breadth", "2000000000")
    return again


@pytest.mark.parametrize(
    ("to", "sender", "status"), [(BOB, ALICE, 403), (ALICE, ALICE, 403), (ERIN, ALICE, 482), (ERIN, ERIN, 482)]
)
@on_loop
async def test_request_of_our_user_does_not_come_back(federation: Network, to: str, sender: str, status: int) -> None:
    """In the name of our user it is refused. To the address that it had before, it is a loop (RFC 5393 section 4)."""
    federation.starts = (FE1, FE2, EDGE)
    async with federation:
        bob = await federation.phone("bob", FE1)
        alice, partner, came = await sent_out(federation)
        refused = await partner.ask(returned(partner, came, to, sender))
        assert refused.status == status
        await bob.silent()
        await alice.silent()
        await partner.send(returned(partner, came, BOB, ERIN))
        passed = await bob.request_in("MESSAGE")
        assert passed.values("p-asserted-identity") == [f"<{ERIN}>"]
        await bob.reply(passed, 200)
        assert (await partner.final()).status == 200


@on_loop
async def test_request_that_comes_by_the_same_way_again_is_a_loop(federation: Network) -> None:
    """A partner that forwards each request to bob again is answered 482 at the second pass (RFC 5393 section 4)."""
    federation.starts = (FE1, FE2, EDGE)
    async with federation:
        bob = await federation.phone("bob", FE1)
        _, partner, came = await sent_out(federation)
        first = returned(partner, came, BOB, ERIN)
        await partner.send(first)
        passed = await bob.request_in("MESSAGE")
        again = passed.copy()
        again.remove("p-asserted-identity")
        again.set_uri(BOB)
        again.prepend("via", partner.via())
        again.replace("max-forwards", "255")
        await partner.send(again)
        assert (await partner.final()).status == 482
        await bob.reply(passed, 200)
        assert (await partner.final()).status == 200
