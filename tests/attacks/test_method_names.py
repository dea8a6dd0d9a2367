"""Methods that a phone reads as a known one, and a server as an unknown one: PJSIP compares without case, and beginnings only."""

from __future__ import annotations

import pytest

from sipmesh.sip.check import METHODS
from sipmesh.trust.evidence import LinkKind
from support.descriptions import CLEAR, SDES, with_body
from support.network import EDGE, FE1, FE2, PARTNER_EDGE, Network
from support.running import on_loop

CAROL = "sip:carol@example.test"
ABOUT = [("event", "check-sync"), ("subscription-state", "active")]


@pytest.mark.parametrize("method", ["invite", "Invite", "INV"])
@on_loop
async def test_offer_in_the_clear_passes_under_no_other_spelling_of_invite(pool: Network, method: str) -> None:
    """Control: the same INVITE with keys arrives."""
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE2)
        assert (await alice.ask(with_body(alice.request(method, CAROL), CLEAR))).status == 400
        assert (await alice.ask(with_body(alice.request("INVITE", CAROL), CLEAR))).status == 488
        await carol.silent()
        await alice.send(with_body(alice.request("INVITE", CAROL), SDES))
        assert (await carol.request_in("INVITE")).body == SDES


@on_loop
async def test_no_method_in_small_letters_reaches_a_phone(federation: Network) -> None:
    """A user and a partner try each. Control: an unknown method arrives."""
    async with federation:
        alice, carol = await federation.phone("alice", FE1), await federation.phone("carol", FE2)
        erin = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        for sender in (alice, erin):
            for method in sorted(METHODS):
                asked = sender.request(method.lower(), CAROL, ABOUT)
                assert (await sender.ask(asked)).status == 400, method
            await carol.silent()
            await sender.send(sender.request("PING", CAROL))
            await carol.reply(await carol.request_in("PING"), 200)
            assert (await sender.final()).status == 200
