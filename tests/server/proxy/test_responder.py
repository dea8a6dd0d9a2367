"""Our own responses: a reference to the log, and nothing that is inside."""

from __future__ import annotations

import pytest

from sipmesh.cli.versions import built
from sipmesh.errors import LocalError
from sipmesh.sip.transaction.ack import ack_for, cancel_for
from support.network import FE1, Network
from support.running import on_loop, until


@on_loop
async def test_ack_is_never_answered_for_any_fault_of_it(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        await alice.send(alice.request("ACK", "sip:bob@example.test"))
        await alice.send(alice.request("ACK", "sip:bob@example.test", [("route", "<sip:victim.example.net;lr>")]))
        broken = alice.request("ACK", "sip:bob@example.test").encode()
        await alice.write(broken.replace(b"Max-Forwards: 70", b"Max-Forwards: 0"))
        await alice.write(broken.replace(b"From: <", b"From: broken <"))
        await alice.silent()


@on_loop
async def test_refusal_has_a_coarse_class_and_a_reference_to_our_log(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        subscribe = alice.request("SUBSCRIBE", "sip:bob@example.test")
        subscribe.append("event", "sipmesh")
        refused = await alice.ask(subscribe)
        assert refused.status == 489
        [told] = home.nodes[FE1].refusals.newest
        assert (told.code, told.status) == ("role-not-allowed", 489)
        warning = refused.first("warning") or ""
        assert "refused: role" in warning
        assert told.reference in warning


@pytest.mark.skipif(built() == "compiled", reason="a method of a compiled object cannot be replaced")
@on_loop
async def test_unwritable_store_is_a_500_without_the_reason(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with home:
        alice = await home.phone("alice", FE1)

        def fails(*_: object) -> None:
            raise LocalError("the disk is gone")

        monkeypatch.setattr(home.nodes[FE1].registrations, "register", fails)
        answer = await alice.register()
        assert (answer.status, b"disk" in answer.encode()) == (500, False)
        assert home.told[FE1].last("request failed")["why"] == "the disk is gone"
        home.told[FE1].lines.clear()


@on_loop
async def test_ack_of_a_request_that_was_refused_statelessly_forgets_its_key(home: Network) -> None:
    """RFC 3261 8.2.7: nothing but the key is kept, so that its CANCEL gets 200 and its ACK goes no further."""
    async with home:
        alice = await home.phone("alice", FE1)
        [flow] = home.nodes[FE1].flow_table.sessions()
        invite = alice.request("INVITE", "sip:bob@example.test", [("proxy-require", "teleport")])
        refused = await alice.ask(invite)
        assert (refused.status, len(flow.refused)) == (420, 1)
        assert (await alice.ask(cancel_for(invite))).status == 200
        await alice.send(ack_for(invite, refused))
        await until(lambda: not flow.refused)
