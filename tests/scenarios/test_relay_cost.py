"""What one relayed request and its answer cost, in calls, from the bytes that come in to the bytes that go out.

A compiled install makes nearly all of them without Python's machinery, and so uncounted: there the bounds hold by far.
"""

from __future__ import annotations

from itertools import count

import pytest

from sipmesh.client.dialog import Dialog
from support.descriptions import SDES, SDP
from support.metering import metered
from support.network import BOT, FE1, FE2, FE3, FE4, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of

# Both turns of a MESSAGE from a user to another server, pyOpenSSL included: 475 and 342 at the time of writing, and up to 350 in
# a process that ran other tests before. Some 25 of these
# see that no other reader finds a boundary where we find none, 18 look into a cache of texts, and 11 look for the number of the
# sender, which an application gets. Each Python counts a few calls
# more or less: all bounds of this module leave 1 %. Nearly 40 of those in C read and write the socket, where OpenSSL would need
# twice as many calls of the kernel.
PYTHON_CALLS, C_CALLS = 477, 353
PYTHON_CALLS_OF_A_ROW, C_CALLS_OF_A_ROW = 1, 3
# A call that is forked to two devices, with session descriptions: 9 messages in and 11 out, from INVITE to BYE. 2,517 and up to
# 1,598 at the time of writing, of which 45 see that no entry of Record-Route was put between two servers, 24 that no user is
# called by a temporary GRUU, 18 read both tags of 2xx, ACK and BYE, and 13 the two ends, which name the dialog.
PYTHON_CALLS_OF_A_CALL, C_CALLS_OF_A_CALL = 2517, 1607
# A MESSAGE to a user of another pool, at the front end of its sender, and at that of its receiver, which parses what the first
# asserts once, and looks it up once. 482 and 360, and 518 and 342 at the time of writing.
AT_THE_FIRST, AT_THE_SECOND = (494, 379), (534, 354)

WARM_UP, TAKEN = 5, 8

numbers = count(1000)  # of CSeq: rows that no test before has left among those seen before


async def relay(alice: Peer, bot: Peer, headers: int, body: int) -> None:
    """Send one message and have it answered."""
    more = [(f"x-{number}", "the same each time") for number in range(headers)]
    await alice.send(alice.request("MESSAGE", f"sip:room@{BOT}", more, b"x" * body, cseq=next(numbers)))
    await bot.reply(await bot.request_in("MESSAGE"), 200)
    assert (await alice.final()).status == 200


async def call(alice: Peer, desk: Peer, mobile: Peer) -> None:
    """Call a user at two devices, of which one answers, and hang up."""
    invite = alice.request("INVITE", f"sip:{desk.user}", [("content-type", SDP)], SDES, cseq=next(numbers))
    await alice.send(invite)
    at_desk, at_mobile = await desk.request_in("INVITE"), await mobile.request_in("INVITE")
    await desk.reply(at_desk, 180)
    await mobile.reply(at_mobile, 180)
    await mobile.reply(at_mobile, 200, [("content-type", SDP)], SDES)
    await desk.reply(await desk.request_in("CANCEL"), 200)
    await desk.reply(at_desk, 487)
    assert (await desk.request_in("ACK")).cseq.method == "ACK"
    dialog = Dialog.of_caller(invite, await alice.final())
    for method in ("ACK", "BYE"):
        await alice.send(inside_of(dialog, alice, method))
    assert await mobile.request_in("ACK")
    await mobile.reply(await mobile.request_in("BYE"), 200)
    assert (await alice.final(method="BYE")).status == 200


async def cost(home: Network, *, others: int = 0, headers: int = 0, body: int = 100) -> tuple[int, int]:
    """Give the calls of one transaction, with so many *others* logged in."""
    found: list[tuple[int, int]] = []
    async with home:
        alice, bot = await home.phone("alice", FE1), await home.peer(FE1, "bot", credentials=BOT)
        for _ in range(others):
            await home.peer(FE1)
        with metered(home.nodes[FE1]) as calls:
            for _ in range(WARM_UP + TAKEN):
                calls.clear()
                await relay(alice, bot, headers, body)
                found.append((calls["call"], calls["c_call"]))
    python, c = zip(*found[WARM_UP:], strict=True)
    return min(python), min(c)


@pytest.mark.parametrize(("others", "body"), [(0, 100), (30, 100), (0, 5_000)], ids=["alone", "among-30", "large"])
@on_loop
async def test_a_relayed_request_costs_at_most_so_many_calls(home: Network, others: int, body: int) -> None:
    """Neither the number of links nor the size of a body adds a call."""
    python, c = await cost(home, others=others, body=body)
    assert python <= PYTHON_CALLS
    assert c <= C_CALLS


@on_loop
async def test_message_across_two_front_ends_costs_hardly_more_in_each_than_in_one(two_pools: Network) -> None:
    """The second front end judges what the first asserts, and finds the user, in few more calls."""
    async with two_pools:
        for other in (FE2, FE4):  # each message goes to the server of its receiver at once
            await two_pools.stop(other)
        alice, bob = await two_pools.phone("alice", FE1), await two_pools.phone("bob", FE3)
        for sender, receiver, bound in ((alice, bob, AT_THE_FIRST), (bob, alice, AT_THE_SECOND)):
            found: list[tuple[int, int]] = []
            with metered(two_pools.nodes[FE1]) as calls:
                for _ in range(WARM_UP + TAKEN):
                    calls.clear()
                    await sender.send(
                        sender.request("MESSAGE", f"sip:{receiver.user}", (), b"x" * 100, cseq=next(numbers))
                    )
                    await receiver.reply(await receiver.request_in("MESSAGE"), 200)
                    assert (await sender.final()).status == 200
                    found.append((calls["call"], calls["c_call"]))
            python, c = map(min, zip(*found[WARM_UP:], strict=True))
            assert python <= bound[0]
            assert c <= bound[1]


@on_loop
async def test_a_call_forked_to_two_devices_costs_at_most_so_many_calls(pool: Network) -> None:
    """No message of a call is parsed, judged or written in more steps than it needs."""
    found: list[tuple[int, int]] = []
    async with pool:
        alice = await pool.phone("alice", FE1)
        desk, mobile = await pool.phone("bob", FE1), await pool.phone("bob", FE1)
        with metered(pool.nodes[FE1]) as calls:
            for _ in range(WARM_UP + TAKEN):
                calls.clear()
                await call(alice, desk, mobile)
                found.append((calls["call"], calls["c_call"]))
    python, c = map(min, zip(*found[WARM_UP:], strict=True))
    assert python <= PYTHON_CALLS_OF_A_CALL
    assert c <= C_CALLS_OF_A_CALL


@on_loop
async def test_a_header_field_that_no_code_reads_costs_a_look_up_and_no_reading(home: Network) -> None:
    more = 20
    python, c = await cost(home, headers=more)
    assert python <= PYTHON_CALLS + PYTHON_CALLS_OF_A_ROW * more
    assert c <= C_CALLS + C_CALLS_OF_A_ROW * more
