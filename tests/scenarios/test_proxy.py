"""What RFC 3261 section 16 and RFC 5393 ask of a proxy, over real links."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.sip.message import Request, Response
from support.network import FE1, FE2, Network
from support.peer import Peer
from support.running import on_loop
from support.tiers import wide_after

BOB = "sip:bob@example.test"


async def ringing(network: Network, *headers: tuple[str, str]) -> tuple[Peer, dict[Peer, Request]]:
    """Have alice call bob, who has a phone at each front end."""
    alice = await network.phone("alice", FE1)
    phones = [await network.phone("bob", FE1), await network.phone("bob", FE2)]
    await alice.send(alice.request("INVITE", BOB, headers))
    return alice, {phone: await phone.request_in("INVITE") for phone in phones}


async def refused(network: Network, first: int, second: int, *headers: tuple[str, str]) -> Response:
    """Have both phones of bob refuse a call, and give what alice gets."""
    alice, calls = await ringing(network)
    for (phone, invite), status in zip(calls.items(), (first, second), strict=True):
        await phone.reply(invite, status, headers)
    return await alice.final()


@pytest.mark.parametrize(
    ("first", "second", "best"),
    wide_after(
        3,
        [
            (486, 603, 603),
            (404, 503, 404),
            (500, 486, 486),
            (302, 404, 302),
            (486, 420, 420),
            (503, 503, 500),
            (480, 486, 486),
        ],
    ),
)
@on_loop
async def test_best_response_goes_to_the_caller(pool: Network, first: int, second: int, best: int) -> None:
    """RFC 3261 16.7 item 6: a 6xx, or else the lowest class. A 503 of a phone is a 500 for the caller."""
    async with pool:
        assert (await refused(pool, first, second)).status == best


@on_loop
async def test_redirection_is_left_to_the_caller(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        bob.contact = "<sip:bob@elsewhere.test>;q=0.7"
        await alice.send(alice.request("INVITE", BOB))
        await bob.reply(await bob.request_in("INVITE"), 302)
        moved = await alice.final()
        assert (moved.status, [contact.uri for contact in moved.contacts]) == (302, ["sip:bob@elsewhere.test"])


@on_loop
async def test_required_extension_of_the_callee_passes_and_that_of_a_proxy_does_not(home: Network) -> None:
    """RFC 3261 16.3 item 5, 20.29, 20.32."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("INVITE", BOB, [("require", "teleport")]))
        assert (await bob.request_in("INVITE")).values("require") == ["teleport"]
        asked = alice.request("INVITE", BOB, [("proxy-require", "teleport, sec-agree")])
        bad = await alice.ask(asked)
        assert (bad.status, bad.values("unsupported")) == (420, ["teleport, sec-agree"])
        await bob.silent()


@pytest.mark.parametrize(("given", "shares"), [((), ["30", "30"]), ((("max-breadth", "5"),), ["2", "2"])])
@on_loop
async def test_breadth_is_shared_by_the_branches(
    pool: Network, given: tuple[tuple[str, str], ...], shares: list[str]
) -> None:
    """RFC 5393 5.3.3: the sum of the branches is not above the value of the request, or 60."""
    async with pool:
        _, calls = await ringing(pool, *given)
        assert [invite.first("max-breadth") for invite in calls.values()] == shares


@on_loop
async def test_breadth_of_one_makes_the_fork_serial(pool: Network) -> None:
    async with pool:
        alice = await pool.phone("alice", FE1)
        phones = [await pool.phone("bob", FE1), await pool.phone("bob", FE2)]
        await alice.send(alice.request("INVITE", BOB, [("max-breadth", "1")]))
        asked = {asyncio.create_task(phone.request_in("INVITE")): phone for phone in phones}
        for left in (1, 0):
            (come,), waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            assert len(waiting) == left
            assert come.result().values("max-breadth") == ["1"]
            await asked.pop(come).reply(come.result(), 486)
        assert (await alice.final()).status == 486


@on_loop
async def test_request_with_one_target_is_sent_without_the_field(home: Network) -> None:
    """It is added where a request forks first: a request that has not forked has used no breadth."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", BOB))
        assert not (await bob.request_in("MESSAGE")).has("max-breadth")
        await alice.send(alice.request("MESSAGE", BOB, [("max-breadth", "7")]))
        assert (await bob.request_in("MESSAGE")).values("max-breadth") == ["7"]


@on_loop
async def test_phone_that_has_lost_its_link_is_named_in_a_warning(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("INVITE", BOB))
        await bob.request_in("INVITE")
        await bob.__aexit__()
        gone = await alice.final()
        assert (gone.status, gone.values("warning")) == (480, ['399 sipmesh "the link of the phone is gone"'])
        absent = await alice.ask(alice.request("INVITE", BOB))
        why, reference = absent.values("warning")
        assert (absent.status, why) == (480, '399 fe1.example.test "not registered"')
        assert reference.startswith('399 fe1.example.test "refused: unavailable, reference ')


@on_loop
async def test_reason_tells_the_other_phones_that_the_call_was_refused(pool: Network) -> None:
    async with pool:
        _, calls = await ringing(pool)
        (first, invite), (second, other) = calls.items()
        await second.reply(other, 180)
        await first.reply(invite, 603)
        cancel = await second.request_in("CANCEL")
        assert cancel.values("reason") == ['SIP;cause=603;text="Refused elsewhere"']
