"""Calls between users of one organisation, from INVITE to BYE."""

from __future__ import annotations

import pytest

from sipmesh.sip.transaction.ack import cancel_for
from support.network import FE1, FE2, Network, hung_up_by_the_other, inside, ringing, text
from support.running import on_loop, until
from support.talking import inside_of, talking


@pytest.mark.parametrize("other", [FE1, FE2])
@on_loop
async def test_call_goes_from_invite_to_bye_with_requests_in_both_directions(pool: Network, other: str) -> None:
    """Across two front ends, and hairpin on one: every request inside goes by token and flow."""
    async with pool:
        alice, bob = await pool.agent("alice", FE1), await pool.agent("bob", other)
        made = await alice.call("bob@example.test")
        came = await ringing(bob)
        assert (await made.answered()).status == 200
        assert came.identity == "sip:alice@example.test"
        for call in (made, came):
            for method in ("INVITE", "UPDATE", "INFO"):
                assert (await inside(call, method)).status == 200, (call, method)
        assert await hung_up_by_the_other(made, came)


@on_loop
async def test_callee_may_hang_up(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        made = await alice.call("bob@example.test")
        assert await hung_up_by_the_other(await ringing(bob), made)


@on_loop
async def test_ack_reaches_the_callee_so_that_it_stops_repeating_its_answer(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        invite, answer, _ = await talking(alice, bob)
        ack = await bob.request_in("ACK")
        assert ack.to.tag == bob.tag
        assert {"route", "record-route"}.isdisjoint(ack.names)
        await bob.reply(invite, 200)  # a copy, as if the ACK had been lost on the way
        again = await alice.final()
        assert (again.status, again.to.tag) == (200, answer)


@on_loop
async def test_call_that_is_taken_back_stops_ringing_and_ends_with_487(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.agent("alice", FE1), await pool.agent("bob", FE2, accepts=False)
        made = alice.invite("bob@example.test")
        await made.ringing.wait()
        came = await ringing(bob)
        assert (await made.cancel()).status == 487
        await came.over()
        assert not pool.nodes[FE1].flow_table.sessions()[0].served


@on_loop
async def test_cancel_that_crosses_the_answer_leaves_the_call_up(pool: Network) -> None:
    """The CANCEL is answered 200 and does nothing: RFC 3261 section 9.2."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        invite = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(invite)
        came = await bob.request_in("INVITE")
        await bob.reply(came, 180)
        await bob.reply(came, 200)
        assert (await alice.final(method="INVITE")).status == 200
        assert (await alice.ask(cancel_for(invite))).status == 200
        await bob.silent()


@on_loop
async def test_cancel_waits_for_a_provisional_answer(pool: Network) -> None:
    """RFC 3261 section 9.1: a CANCEL that overtook its INVITE would find nothing."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        invite = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(invite)
        came = await bob.request_in("INVITE")
        assert (await alice.ask(cancel_for(invite))).cseq.method == "CANCEL"
        await bob.silent()
        await bob.reply(came, 180)
        assert (await bob.request_in("CANCEL")).top_via.branch == came.top_via.branch
        await bob.reply(came, 487)
        await bob.request_in("ACK")
        assert (await alice.final(method="INVITE")).status == 487


@on_loop
async def test_reason_of_a_cancel_travels_with_it(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        invite = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(invite)
        await bob.reply(await bob.request_in("INVITE"), 180)
        cancel = cancel_for(invite)
        cancel.append("reason", 'SIP;cause=600;text="not any more"')
        await alice.send(cancel)
        assert (await bob.request_in("CANCEL")).values("reason") == ['SIP;cause=600;text="not any more"']


@on_loop
async def test_busy_goes_back_and_is_acknowledged_hop_by_hop(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.agent("alice", FE1), await pool.agent("bob", FE2, accepts=False)
        made = alice.invite("bob@example.test")
        (await ringing(bob)).reject(486)
        assert (await made.answered()).status == 486
        fe2 = pool.nodes[FE2].flow_table
        await until(lambda: not any(flow.served or flow.sent for flow in fe2.sessions()))


@on_loop
async def test_every_device_rings_and_the_others_learn_that_the_call_was_answered_elsewhere(pool: Network) -> None:
    async with pool:
        alice = await pool.phone("alice", FE1)
        desk, mobile = await pool.phone("bob", FE1), await pool.phone("bob", FE2)
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        at_desk, at_mobile = await desk.request_in("INVITE"), await mobile.request_in("INVITE")
        await desk.reply(at_desk, 180)
        await mobile.reply(at_mobile, 180)
        await mobile.reply(at_mobile, 200)
        assert (await alice.final()).to.tag == mobile.tag
        lost = await desk.request_in("CANCEL")
        assert lost.values("reason") == ['SIP;cause=200;text="Call completed elsewhere"']
        await desk.reply(at_desk, 487)
        assert (await desk.request_in("ACK")).cseq.method == "ACK"


@on_loop
async def test_answers_of_two_devices_at_once_both_reach_the_caller(pool: Network) -> None:
    """Every 2xx goes back (RFC 3261 section 16.7 item 5): the caller ends the call that it does not want."""
    async with pool:
        alice = await pool.phone("alice", FE1)
        desk, mobile = await pool.phone("bob", FE1), await pool.phone("bob", FE2)
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        for device in (desk, mobile):
            await device.reply(await device.request_in("INVITE"), 200)
        assert {(await alice.final()).to.tag for _ in range(2)} == {desk.tag, mobile.tag}


@on_loop
async def test_preferred_device_is_asked_first_and_the_others_only_after_it(pool: Network) -> None:
    async with pool:
        alice = await pool.phone("alice", FE1)
        desk, mobile = await pool.peer(FE1, "bob"), await pool.peer(FE2, "bob")
        desk.contact, mobile.contact = f"{desk.contact};q=0.5", f"{mobile.contact};q=0.9"
        for device in (desk, mobile):
            assert (await device.register()).status == 200
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        at_mobile = await mobile.request_in("INVITE")
        await desk.silent()
        await mobile.reply(at_mobile, 486)
        await desk.reply(await desk.request_in("INVITE"), 603)
        assert (await alice.final()).status == 603


@on_loop
async def test_user_may_call_another_device_of_its_own(pool: Network) -> None:
    """Both sides of the dialog are one user: the link tells which of them speaks."""
    async with pool:
        desk, mobile = [await pool.agent("alice", FE1, accepts=False) for _ in range(2)]
        made = desk.invite("alice@example.test")
        at_desk = await ringing(desk)
        at_mobile = await ringing(mobile)
        at_desk.reject(486)
        at_mobile.accept()
        assert (await made.answered()).status == 200
        assert await hung_up_by_the_other(at_mobile, made)


@on_loop
async def test_callee_that_loses_its_link_while_it_rings_is_unavailable(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.agent("alice", FE1), await pool.agent("bob", FE2, accepts=False)
        made = alice.invite("bob@example.test")
        await made.ringing.wait()
        await bob.close()
        assert (await made.answered()).status in {430, 480}


@on_loop
async def test_caller_that_loses_its_link_leaves_no_phone_ringing(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("INVITE"), 180)
        await alice.__aexit__()
        assert (await bob.request_in("CANCEL")).cseq.method == "CANCEL"


@on_loop
async def test_call_goes_on_when_its_user_comes_back_on_another_link(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        await alice.__aexit__()
        back = await pool.phone("alice", FE1)
        await back.send(inside_of(dialog, back, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)
        assert (await back.final()).status == 200


@pytest.mark.parametrize("method", ["BYE", "INFO", "ACK", "CANCEL", "INVITE"])
@on_loop
async def test_third_link_cannot_speak_inside_a_call_of_others(pool: Network, method: str) -> None:
    """Carol knows everything: Call-ID, tags, route set, branch. It is her link that is no side of the dialog (T6)."""
    async with pool:
        alice, bob, carol = [await pool.phone(name, FE1) for name in ("alice", "bob", "carol")]
        invite, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        stolen = inside_of(dialog, carol, method)
        if method == "CANCEL":
            stolen.replace("via", str(invite.items("via")[1]))
        await carol.send(stolen)
        if method != "ACK":
            assert (await carol.final()).status in {403, 407, 481}
        await bob.silent()


@on_loop
async def test_third_link_cannot_end_a_call_under_its_own_name_either(pool: Network) -> None:
    """A phone finds its dialog by Call-ID and tags; so From being carol's own makes no difference."""
    async with pool:
        alice, bob, carol = [await pool.phone(name, FE1) for name in ("alice", "bob", "carol")]
        _, tag, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        to = f"<sip:bob@example.test>;tag={tag}"
        mine = f"<sip:carol@example.test>;tag={alice.tag}"
        bye = carol.request("BYE", "sip:bob@example.test", sender=mine, to=to, call_id=dialog.call_id, cseq=9)
        assert (await carol.ask(bye)).status == 481
        await bob.silent()
        await alice.send(inside_of(dialog, alice, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_message_between_two_calls_is_not_held_up(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.agent("alice", FE1), await pool.agent("bob", FE2, accepts=False)
        made = alice.invite("bob@example.test")
        came = await ringing(bob)
        assert (await alice.message("bob@example.test", "busy?")).ok
        assert (await text(bob)).text == "busy?"
        came.accept()
        assert (await made.answered()).ok
