"""Who has answered a call is proved as who calls is, and no user answers in the name of another."""

from __future__ import annotations

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.sip.message import Response
from support.network import FE1, FE2, FE3, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of

FORGED = ("p-asserted-identity", "<sip:carol@example.test>")
HIDDEN = "<sip:anonymous@anonymous.invalid>;tag=hidden"


async def called(caller: Peer, callee: Peer, uri: str = "", *headers: tuple[str, str]) -> Response:
    """Call, and give the 200 as the caller gets it; the callee adds *headers* to it."""
    await caller.send(caller.request("INVITE", uri or f"sip:{callee.user}"))
    await callee.reply(await callee.request_in("INVITE"), 200, headers)
    return await caller.final(method="INVITE")


def answered_by(response: Response) -> list[str]:
    return response.values("p-asserted-identity")


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_caller_learns_which_user_has_answered(pool: Network, server: str) -> None:
    """Also if the callee says that it is another user. Only a call has such an answer."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", server)
        assert answered_by(await called(alice, bob)) == ["<sip:bob@example.test>"]
        assert answered_by(await called(alice, bob, "", FORGED)) == ["<sip:bob@example.test>"]
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("MESSAGE"), 200, [FORGED])
        assert answered_by(await alice.final()) == []


@on_loop
async def test_user_who_hides_in_the_answer_is_not_named(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        assert answered_by(await called(alice, bob, "", ("privacy", "id"))) == []
        assert answered_by(await called(alice, bob, "", ("privacy", "none"))) == ["<sip:bob@example.test>"]


@on_loop
async def test_hidden_caller_who_is_called_back_in_the_dialog_is_not_named(pool: Network) -> None:
    """A re-INVITE to it has its anonymous address in To. Control: the answer to its own call."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        invite = alice.request("INVITE", "sip:bob@example.test", sender=HIDDEN)
        await alice.send(invite)
        came = await bob.request_in("INVITE")
        await bob.reply(came, 200)
        answer = await alice.final(method="INVITE")
        assert answered_by(answer) == ["<sip:bob@example.test>"]
        dialog = Dialog.of_callee(came, bob.tag)
        await bob.send(inside_of(dialog, bob, "INVITE"))
        await alice.reply(await alice.request_in("INVITE"), 200)
        assert answered_by(await bob.final(method="INVITE")) == []


@on_loop
async def test_one_of_two_users_of_a_link_is_named(home: Network) -> None:
    """An adapter with two lines: the called line has answered."""
    async with home:
        alice, adapter = await home.phone("alice", FE1), await home.phone("bob", FE1)
        adapter.user = "carol@example.test"
        assert (await adapter.register()).status == 200
        for user in ("bob", "carol"):
            answer = await called(alice, adapter, f"sip:{user}@example.test")
            assert answered_by(answer) == [f"<sip:{user}@example.test>"]


@on_loop
async def test_user_of_another_pool_is_named_by_it(two_pools: Network) -> None:
    async with two_pools:
        alice, bob = await two_pools.phone("alice", FE1), await two_pools.phone("bob", FE3)
        assert answered_by(await called(alice, bob)) == ["<sip:bob@example.test>"]
        assert answered_by(await called(bob, alice)) == ["<sip:alice@example.test>"]


@on_loop
async def test_user_who_logs_in_at_another_pool_is_named_by_the_home_pool(two_pools: Network) -> None:
    """The server with the link asserts nothing."""
    async with two_pools:
        alice, bob = await two_pools.phone("alice", FE1), await two_pools.phone("bob", FE1)
        assert answered_by(await called(alice, bob)) == ["<sip:bob@example.test>"]
        assert answered_by(await called(bob, alice)) == ["<sip:alice@example.test>"]


@on_loop
async def test_each_organisation_names_the_user_of_the_partner_that_it_has_called(federation: Network) -> None:
    """Its own edge does, for the link of the partner; what the partner says is removed. In both directions."""
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        assert answered_by(await called(alice, erin, "", FORGED)) == ["<sip:erin@partner.test>"]
        assert answered_by(await called(erin, alice)) == ["<sip:alice@example.test>"]
