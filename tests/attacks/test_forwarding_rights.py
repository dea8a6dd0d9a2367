"""Phones that have a call forwarded with the rights of another, past a class of numbers, past a rule, or without bound."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from scenarios.test_call_rules import called, comes, history
from scenarios.test_gruus import temporary
from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST
from sipmesh.errors import OperatorError
from sipmesh.sip.message import Request
from support.call_rules import rules
from support.descriptions import SDES, SDP
from support.network import EXAMPLE, FE1, FE2, FE3, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of
from support.trunks import GATEWAY, PROVIDER, PlayedTrunk, premium_for, with_trunks

OFFER = [("content-type", SDP)]
SECRET = "+12025550100"
ALICE, BOB, CAROL = f"sip:alice@{EXAMPLE}", f"sip:bob@{EXAMPLE}", f"sip:carol@{EXAMPLE}"


@pytest.fixture(name="network")
def _network(trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path) -> Network:
    """A trunk, and numbers that only carol may call."""
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    example.document["numbers"] = premium_for("carol")
    example.write()
    return Network((example,), starts=(FE1, GATEWAY))


async def calls(caller: Peer, uri: str) -> None:
    await caller.send(caller.request("INVITE", uri, OFFER, SDES))


async def outcome(caller: Peer, provider: PlayedTrunk) -> int | str:
    """The final status of a call; or the number that the trunk is to call, if it comes first."""
    refused, link = asyncio.create_task(caller.final()), asyncio.create_task(provider.links.get())
    done, rest = await asyncio.wait((refused, link), return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    if refused in done:
        return refused.result().status
    return (await link.result().request_in("INVITE")).ruri.user or ""


@pytest.mark.parametrize(
    "contact",
    [
        "<tel:+49-900-123456>",
        "<tel:+49(0)900123456>",
        "<tel:+49900123456;isub=1>",
        f"<sip:+49.900.123456@{EXAMPLE};user=phone>",
        f"<sip:+49%39%30%30123456@{EXAMPLE};user=phone>",
        f"<sip:0900123456@{EXAMPLE};user=phone>",
    ],
)
@on_loop
async def test_redirection_to_a_costly_number_is_judged_in_each_spelling(
    network: Network, provider: PlayedTrunk, contact: str
) -> None:
    """A number that everyone may call is called in the same spelling."""
    async with network, provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        bob.contact = contact
        await calls(alice, BOB)
        await bob.reply(await comes(bob), 302)
        assert await outcome(alice, provider) in {302, 403}
        bob.contact = "<tel:+49-30-7654321>"
        await calls(alice, BOB)
        await bob.reply(await comes(bob), 302)
        came = await (await provider.links.get()).request_in("INVITE")
        assert came.ruri.user == "+49307654321"


PREMIUM = "+49900123456"


@on_loop
async def test_rule_counts_with_what_its_user_may_call_now(network: Network, provider: PlayedTrunk) -> None:
    """Carol may set no rule to the number. Bob may, and has callers there; later alice may call it, and bob may not."""
    example = network.organisations[0]
    example.document["numbers"] = premium_for("bob")
    example.write()
    async with network, provider:
        alice = await network.phone("alice", FE1)
        with pytest.raises(OperatorError, match="may not call"):
            await rules(network, "carol", always=PREMIUM)
        await rules(network, "bob", always=PREMIUM)
        await calls(alice, BOB)
        there = await provider.links.get()
        await there.reply(await comes(there), 486)
        assert (await alice.final()).status == 486
        example.document["numbers"] = premium_for("alice")
        example.write()
        for node in network.nodes.values():
            node.put_in_force(example.load())
        await calls(alice, BOB)
        assert (await alice.final()).status == 403
        await calls(alice, f"tel:{PREMIUM}")
        assert (await comes(there)).ruri.user == PREMIUM


@on_loop
async def test_caller_does_not_learn_the_number_that_answers_a_forwarded_call(
    network: Network, provider: PlayedTrunk
) -> None:
    """The trunk says it in each message, before and in the call. Who calls the number itself is shown the trunk's Contact."""
    named = [(name, f"<sip:{SECRET}@{PROVIDER}>") for name in ("p-asserted-identity", "remote-party-id")]
    async with network, provider:
        alice = await network.phone("alice", FE1)
        await rules(network, "bob", always=SECRET)
        invite = alice.request("INVITE", BOB, OFFER, SDES)
        await alice.send(invite)
        there = await provider.links.get()
        there.contact = f"<sip:{SECRET}@{HOST}:{provider.port};transport=tls>"
        came = await comes(there)
        await there.reply(came, 180, named)
        await there.reply(came, 200, [*named, ("content-type", SDP)], SDES)
        made = Dialog.of_caller(invite, await alice.final())
        taken = Dialog.of_callee(came, there.tag)
        await alice.send(inside_of(made, alice, "ACK"))
        assert f"<{(await there.request_in('ACK')).uri}>" == there.contact
        for dialog, one, other in ((made, alice, there), (taken, there, alice), (taken, there, alice)):
            asked = inside_of(dialog, one, "UPDATE")
            for name, value in named if one is there else ():
                asked.append(name, value)
            await one.send(asked)
            at_other = await other.request_in("UPDATE")
            assert f"<{at_other.uri}>" == other.contact
            await other.reply(at_other, 200, named if other is there else ())
            assert (await one.final()).status == 200
        await there.send(inside_of(taken, there, "BYE"))
        await alice.reply(await alice.request_in("BYE"), 200)
        assert (await there.final()).status == 200
        await calls(alice, BOB)
        await there.reply(await comes(there), 302)
        assert (await alice.final()).contacts == []
        assert SECRET[1:].encode() not in alice.heard
        await calls(alice, f"tel:{SECRET}")
        await there.reply(await comes(there), 200, [("content-type", SDP)], SDES)
        assert [one.uri for one in (await alice.final()).contacts] == [there.contact[1:-1]]


@pytest.mark.parametrize("contact", [CAROL, BOB], ids=["of another", "own"])
@on_loop
async def test_redirection_is_in_the_name_of_the_user_of_the_phone_alone(pool: Network, contact: str) -> None:
    """The Contact of the phone is the address of record of carol. So the Request-URI names her at the server of the phone."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.peer(FE2, "bob")
        bob.contact = f"<{contact}>"
        assert (await bob.register()).status == 200
        bob.contact = f"<{ALICE}>"
        await called(alice, BOB)
        await bob.reply(await comes(bob), 302)
        came = await alice.receive()
        while not isinstance(came, Request):
            came = await alice.receive()
        assert [item.partition(";")[0] for item in history(came)] == [f"<{BOB}>", f"<{ALICE}"]


@pytest.mark.parametrize("asked", [{"do_not_disturb": True}, {"always": "alice"}], ids=["do-not-disturb", "always"])
@on_loop
async def test_replaces_passes_no_rule_at_a_phone_that_would_ignore_it(pool: Network, asked: dict[str, object]) -> None:
    """A phone that does not know Replaces rings (RFC 3891). So the server has it refuse the call, which others take over."""
    async with pool:
        carol, bob = await pool.phone("carol", FE1), await pool.phone("bob", FE2)
        await rules(pool, "bob", **asked)
        for headers in ((), (("require", "Replaces"),), (("require", "timer"),)):
            await called(carol, BOB, ("replaces", "no-such-call;to-tag=1;from-tag=2"), *headers)
            came = await comes(bob)
            assert [item.lower() for item in came.items("require")].count("replaces") == 1
            await bob.reply(came, 481)
            assert (await carol.final()).status == 481


async def answering(phone: Peer, status: int, contact: str, rung: list[Request]) -> None:
    """Answer each call to *phone* with *status*."""
    phone.contact = contact
    while True:
        message = await phone.receive()
        if isinstance(message, Request) and message.method == "INVITE":
            rung.append(message)
            await phone.reply(message, status)


@on_loop
async def test_phones_that_redirect_to_many_phones_make_a_bounded_number_of_branches(pool: Network) -> None:
    """Each of the ten phones of bob redirects to carol, who has ten: five users in a chain would have 100,000 branches."""
    async with pool:
        alice, rung = await pool.phone("alice", FE1), list[Request]()
        bobs = [await pool.phone("bob", FE1) for _ in range(10)]
        carols = [await pool.phone("carol", FE1) for _ in range(10)]
        answers = [asyncio.create_task(answering(one, 302, f"<{CAROL}>", [])) for one in bobs]
        answers += [asyncio.create_task(answering(one, 486, one.contact, rung)) for one in carols]
        await called(alice, BOB)
        assert (await alice.final()).status in {440, 486}
        for task in answers:
            task.cancel()
        assert 10 <= len(rung) <= 50


@pytest.mark.parametrize("server", [FE1, FE3])
@on_loop
async def test_caller_does_not_learn_where_a_rule_leads_that_leads_nowhere(two_pools: Network, server: str) -> None:
    """No trunk carries the number. A 302 of the phone itself is for the caller, as the user of the phone wants."""
    async with two_pools:
        alice, bob = (
            await two_pools.phone("alice" if server == FE1 else "dora", server),
            await two_pools.phone("bob", FE3),
        )
        await rules(two_pools, "bob", always=SECRET)
        await called(alice, BOB)
        final = await alice.final()
        assert (final.status, final.contacts, final.items("diversion")) == (404, [], [])
        assert SECRET[1:].encode() not in alice.heard
        await rules(two_pools, "bob", always="none")
        bob.contact = "<sip:desk@nowhere.test>"
        await called(alice, BOB)
        await bob.reply(await comes(bob), 302)
        final = await alice.final()
        assert (final.status, [one.uri for one in final.contacts]) == (302, ["sip:desk@nowhere.test"])
        assert final.items("diversion") == []


@on_loop
async def test_caller_of_a_temporary_gruu_does_not_learn_where_its_user_forwards(two_pools: Network) -> None:
    async with two_pools:
        alice, bob = await two_pools.phone("alice", FE1), await two_pools.peer(FE3, "bob")
        hidden = await temporary(bob)
        await called(alice, hidden)
        await bob.reply(await comes(bob), 486)
        assert (await alice.final()).status == 486
        alice.heard.clear()
        await rules(two_pools, "bob", always=SECRET)
        await called(alice, hidden)
        assert (await alice.final()).status == 404
        assert b"<sip:bob@" not in alice.heard
        assert SECRET[1:].encode() not in alice.heard
