"""A call goes on through another server of the pool where the server of its start is gone, for those whose call it is."""

from __future__ import annotations

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.routing.identity.dialog_token import DialogToken
from sipmesh.routing.identity.tokens import Tokens
from sipmesh.topology.server_choice import turned
from sipmesh.trust.evidence import LinkKind
from support.network import BOT, EDGE, FE1, FE2, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop, until
from support.talking import inside_of, talking


async def passed_on(dialog: Dialog, sender: Peer, receiver: Peer, method: str) -> int:
    """Send a request inside *dialog*, have it answered at the other end, and give the status that came back."""
    await sender.send(inside_of(dialog, sender, method))
    came = await receiver.request_in(method)
    assert came.call_id == dialog.call_id
    await receiver.reply(came, 200)
    return (await sender.final(method=method)).status


@on_loop
async def test_a_call_goes_on_through_the_other_server_once_both_have_come_back_there(pool: Network) -> None:
    async with pool:
        came, _, dialog = await talking(alice := await pool.phone("alice", FE1), bob := await pool.phone("bob", FE1))
        theirs = Dialog.of_callee(came, bob.tag)
        await bob.request_in("ACK")
        await pool.stop(FE1)
        again, there = await pool.phone("alice", FE2), await pool.phone("bob", FE2)
        again.contact, there.tag = alice.contact, bob.tag
        assert await passed_on(dialog, again, there, "INFO") == 200
        assert await passed_on(theirs, there, again, "BYE") == 200


@on_loop
async def test_no_other_party_goes_on_with_it(pool: Network) -> None:
    """With the whole of the dialog in hand: tags, Call-ID and the tokens. The control does it after."""
    async with pool:
        came, _, dialog = await talking(await pool.phone("alice", FE1), bob := await pool.phone("bob", FE1))
        await bob.request_in("ACK")
        await pool.stop(FE1)
        again, there = await pool.phone("alice", FE2), await pool.phone("bob", FE2)
        thief = await pool.phone("carol", FE2)
        for stolen in (dialog, Dialog.of_callee(came, bob.tag)):
            assert (await thief.ask(inside_of(stolen, thief, "BYE"))).status in {403, 407, 481}
        await there.silent()
        there.tag = bob.tag
        assert await passed_on(dialog, again, there, "BYE") == 200


@on_loop
async def test_a_server_that_cannot_reach_the_one_goes_on_through_the_other(pool: Network) -> None:
    """An application is one side of its calls, with any server that it sends to; a phone is found where it has come back."""
    async with pool:
        bot = await pool.peer(FE1, "bot", credentials=BOT)
        came, _, dialog = await talking(alice := await pool.phone("alice", FE1), _meant(bot))
        assert came.values("record-route")
        theirs = Dialog.of_callee(came, bot.tag)
        await bot.request_in("ACK")
        await pool.stop(FE1)
        there, again = await pool.peer(FE2, "bot", credentials=BOT), await pool.phone("alice", FE2)
        again.tag = alice.tag
        assert await passed_on(theirs, there, again, "INFO") == 200
        assert await passed_on(dialog, again, there, "BYE") == 200


@pytest.mark.parametrize("method", ["INFO", "BYE"])
@on_loop
async def test_application_goes_on_by_another_server_than_that_of_the_phone(pool: Network, method: str) -> None:
    """Also where the phone has come back at this server, or has another device here. A stranger gets into no call so."""
    async with pool:
        bot = _meant(await pool.peer(FE1, "bot", credentials=BOT))
        alice = await pool.phone("alice", FE1)
        came, _, _ = await talking(alice, bot)
        await bot.request_in("ACK")
        theirs = Dialog.of_callee(came, bot.tag)
        there = _meant(await pool.peer(FE2, "bot", credentials=BOT))
        edge = await pool.peer_at(FE2, LinkKind.SERVER, "alice@example.test", EDGE)
        other = await pool.phone("alice", FE2)
        carol = await pool.phone("carol", FE2)
        for thief in (edge, carol):
            assert (await thief.ask(inside_of(theirs, thief, method))).status in {403, 407, 481}
        await alice.silent()
        assert await passed_on(theirs, there, alice, "INFO") == 200
        await other.silent()
        await alice.__aexit__()
        await until(lambda: len(pool.nodes[FE1].flow_table.sessions()) < 3)
        other.tag = alice.tag
        assert await passed_on(theirs, there, other, method) == 200
        await other.__aexit__()
        gone = await there.ask(inside_of(theirs, there, method))
        assert gone.status in {430, 480}


def _meant(bot: Peer) -> Peer:
    bot.user = f"room@{BOT}"
    return bot


@on_loop
async def test_who_had_to_change_servers_goes_on_with_a_user_who_was_at_the_other_server_before(pool: Network) -> None:
    """Both had record-routed the call; what was said between them is now said in one."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        await pool.stop(FE1)
        again, thief = await pool.phone("alice", FE2), await pool.phone("carol", FE2)
        assert (await thief.ask(inside_of(dialog, thief, "BYE"))).status in {403, 407, 481}
        await bob.silent()
        assert await passed_on(dialog, again, bob, "INFO") == 200
        assert await passed_on(dialog, again, bob, "BYE") == 200


@on_loop
async def test_who_stayed_reaches_who_had_to_change_servers(pool: Network) -> None:
    """The server that is gone is tried first: while it lives it alone knows its flows."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        came, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        theirs = Dialog.of_callee(came, bob.tag)
        await pool.stop(FE1)
        assert (await bob.ask(inside_of(theirs, bob, "INFO"))).status == 503
        again, thief = await pool.phone("alice", FE2), await pool.phone("carol", FE2)
        again.tag = alice.tag
        assert (await thief.ask(inside_of(theirs, thief, "BYE"))).status in {403, 407, 481}
        await again.silent()
        assert await passed_on(theirs, bob, again, "INFO") == 200
        assert await passed_on(dialog, again, bob, "BYE") == 200


@on_loop
async def test_another_device_of_the_user_gets_nothing_while_the_server_of_the_call_lives(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        other = await pool.phone("alice", FE2, ("expires", "600"))
        invite = bob.request("INVITE", "sip:alice@example.test")
        await bob.send(invite)
        await other.reply(await other.request_in("INVITE"), 180)
        await alice.reply(await alice.request_in("INVITE"), 200)
        dialog = Dialog.of_caller(invite, await bob.final())
        await bob.send(inside_of(dialog, bob, "ACK"))
        await other.request_in("CANCEL")
        assert await passed_on(dialog, bob, await past_ack(alice), "INFO") == 200
        await other.silent()


async def past_ack(peer: Peer) -> Peer:
    await peer.request_in("ACK")
    return peer


@pytest.mark.parametrize("by", [FE1, FE2])
@on_loop
async def test_a_partners_call_goes_on_through_the_other_front_end(federation: Network, by: str) -> None:
    """The edge cannot reach the server that it came in by, and tries the next of the pool, also if this is the same server."""
    async with federation:
        erin, alice = await federation.phone("erin", PARTNER_FE), await federation.phone("alice", FE1)
        call_id = next(f"c-{number}" for number in range(99) if turned((FE1, FE2), f"c-{number}")[0] == by)
        came, _, dialog = await talking(erin, alice, call_id)
        await alice.request_in("ACK")
        theirs = Dialog.of_callee(came, alice.tag)
        await federation.stop(FE1)
        again = await federation.phone("alice", FE2)
        again.tag = alice.tag
        assert await passed_on(dialog, erin, again, "INFO") == 200
        assert await passed_on(theirs, again, erin, "BYE") == 200


@pytest.mark.parametrize("key", ["another pool's", "the other server's own"])
@on_loop
async def test_a_token_under_any_other_key_than_the_pools_says_nothing(pool: Network, key: str) -> None:
    async with pool:
        held = b"k" * 32 if key == "another pool's" else (pool.nodes[FE1].state / f"{FE1}.token-key").read_bytes()
        _, _, dialog = await talking(await pool.phone("alice", FE1), bob := await pool.phone("bob", FE1))
        await bob.request_in("ACK")
        tokens, text = pool.nodes[FE1].tokens, token_in(dialog)
        token = tokens.read(text)
        assert isinstance(token, DialogToken)
        forged = Tokens(held, tokens.incarnation).dialog(token.a, token.b, token.begun)
        again, there = await pool.phone("alice", FE2), await pool.phone("bob", FE2)
        asked = inside_of(dialog, again, "BYE")
        (entry,) = asked.values("route")
        asked.remove("route")
        asked.append("route", entry.replace(text, forged))
        assert (await again.ask(asked)).status in {403, 481}
        for phone in (bob, there):
            await phone.silent()
        assert await passed_on(dialog, again, bob, "BYE") == 200


def token_in(dialog: Dialog) -> str:
    """The user part of the first entry of a dialog's route set."""
    return dialog.aim()[1][0].partition(":")[2].partition("@")[0]
