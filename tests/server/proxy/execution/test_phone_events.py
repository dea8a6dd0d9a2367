"""Requests about events between phones: what was not asked for is refused where the phone is."""

from __future__ import annotations

from sipmesh.sip.message import Request
from support.network import FE1, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking


@on_loop
async def test_notify_outside_a_subscription_does_not_reach_the_phone(home: Network) -> None:
    """A phone may do what an unsolicited NOTIFY says, such as a restart (RFC 6665 section 4.1.3)."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert (await alice.ask(notify(alice, "check-sync"))).status == 481
        await bob.silent()


def notify(peer: Peer, package: str) -> Request:
    request = peer.request("NOTIFY", "sip:bob@example.test")
    request.append("event", package)
    request.append("subscription-state", "active")
    return request


@on_loop
async def test_refer_of_a_call_that_is_up_reaches_the_phone(home: Network) -> None:
    """Before the call is up, the callee has not accepted it: `tests/attacks/test_references.py`."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        refer = inside_of(dialog, alice, "REFER")
        refer.append("refer-to", "<sip:carol@example.test>")
        await alice.send(refer)
        await bob.reply(await bob.request_in("REFER"), 202)
        assert (await alice.final(method="REFER")).status == 202
