"""Calls of a real phone that change while they are up: hold, transfer, and a server that dies in the middle."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from interop.baresip import Baresip
from interop.phones import killed, phone
from sipmesh.demo.network import FE1, FE2, PARTNER_FE, DemoNetwork
from sipmesh.trust.evidence import LinkKind
from support.tiers import wide_after

pytestmark = pytest.mark.peer("baresip")

WHERE = {"dora": FE1, "emil": FE2, "gina": FE1, "fritz": PARTNER_FE, "hanna": PARTNER_FE}
ONE_ORGANISATION = ("dora", "emil", "gina")
ACROSS = ("dora", "fritz", "emil")
TO_THEIR_OWN = ("fritz", "dora", "hanna")


async def registered(stack: AsyncExitStack, *phones: Baresip) -> None:
    """Start the phones and wait until each has registered."""
    for one in phones:
        await stack.enter_async_context(one)
    for one in phones:
        await one.registered()


async def call(caller: Baresip, callee: Baresip) -> None:
    """Bring a call up."""
    await caller.command("dial", f"sip:{callee.user}@{callee.domain}")
    await established(caller, callee)


async def established(*phones: Baresip) -> None:
    """Wait until each phone has a new call."""
    for one in phones:
        await one.event("CALL_ESTABLISHED")
    for one in phones:
        one.events.clear()


async def hung_up(by: Baresip, other: Baresip) -> None:
    """End the call of two phones; the *other* learns of it."""
    await by.command("hangup")
    await other.event("CALL_CLOSED")
    for one in (by, other):
        one.events.clear()


async def offered(by: Baresip, other: Baresip, command: str) -> None:
    """Change the call by a re-INVITE, and wait for the offer at the *other* phone and for the answer at the first one."""
    await by.command(command)
    while (await other.event("CALL_REMOTE_SDP"))["param"] != "offer":
        pass
    await by.event("CALL_ANSWERED")


@pytest.mark.parametrize(
    "users", wide_after(1, [(ONE_ORGANISATION,), (ACROSS,)]), ids=["one organisation", "a partner"]
)
@pytest.mark.wide
def test_each_side_holds_resumes_and_hangs_up(
    network: DemoNetwork, runner: asyncio.Runner, users: tuple[str, ...]
) -> None:
    caller, callee = (phone(network, user, WHERE[user], records=False) for user in users[:2])

    async def play() -> None:
        async with AsyncExitStack() as stack:
            await registered(stack, caller, callee)
            for ends, other in ((caller, callee), (callee, caller)):
                await call(caller, callee)
                for one, far in ((caller, callee), (callee, caller)):
                    await offered(one, far, "hold")
                    await offered(one, far, "resume")
                await hung_up(ends, other)

    runner.run(play())
    for one in (caller, callee):
        assert one.log.count("a=sendonly") == one.log.count("a=recvonly") == 4  # in two calls, its own and the other's


@pytest.mark.parametrize("users", wide_after(1, [(ACROSS,), (ONE_ORGANISATION,), (TO_THEIR_OWN,)]), ids="-".join)
@pytest.mark.wide
def test_each_side_transfers_the_other_to_a_third(
    network: DemoNetwork, runner: asyncio.Runner, users: tuple[str, ...]
) -> None:
    """REFER inside the call, NOTIFY back, and a new call of the transferred party (RFC 5589 section 6)."""
    caller, callee, third = (phone(network, user, WHERE[user], records=False) for user in users)

    async def play() -> None:
        async with AsyncExitStack() as stack:
            await registered(stack, caller, callee, third)
            for transferor, transferee in ((caller, callee), (callee, caller)):
                await call(caller, callee)
                await transferor.command("transfer", f"sip:{third.user}@{third.domain}")
                await established(transferee, third)
                await transferor.event("CALL_CLOSED")
                await hung_up(third, transferee)

    runner.run(play())
    for one in (caller, callee):
        assert one.log.count("message/sipfrag") >= 2


@pytest.mark.wide
def test_call_goes_on_through_the_front_end_that_was_killed_and_started_again(
    network: DemoNetwork, runner: asyncio.Runner
) -> None:
    """The phone registers again with the nonce that it had: it is stale, and the phone answers once more."""
    dora = phone(network, "dora", FE1, records=False, refresh_s=10)
    emil = phone(network, "emil", FE2, records=False)

    async def play() -> None:
        async with AsyncExitStack() as stack:
            await registered(stack, dora, emil)
            await call(dora, emil)
            await killed(network, FE1)
            await network.start(FE1)
            await dora.registered_again()
            await offered(emil, dora, "hold")
            await offered(dora, emil, "hold")
            await hung_up(dora, emil)

    runner.run(play())
    assert "stale=true" in dora.log


@pytest.mark.wide
def test_phone_may_hang_up_before_it_has_registered_again(network: DemoNetwork, runner: asyncio.Runner) -> None:
    """Its new link has proved no user yet, so the BYE is challenged (407), and continues with the answer."""
    dora, emil = (phone(network, user, WHERE[user], records=False) for user in ("dora", "emil"))

    async def play() -> None:
        async with AsyncExitStack() as stack:
            await registered(stack, dora, emil)
            await call(dora, emil)
            await killed(network, FE1)
            await network.start(FE1)
            await hung_up(dora, emil)

    runner.run(play())
    assert "SIP/2.0 407" in dora.log


@pytest.mark.wide
def test_call_goes_on_through_the_other_front_end_once_the_phone_has_come_back_there(
    network: DemoNetwork, runner: asyncio.Runner
) -> None:
    """The phone finds its server by SRV, and so the next one where the first is dead (RFC 3263 section 4.3)."""
    ports = [network.example.ports[server][LinkKind.CLIENT] for server in (FE1, FE2)]
    network.dns.records["_sips._tcp.example.test", "SRV"] = [f"10 0 {ports[0]} {FE1}.", f"20 0 {ports[1]} {FE2}."]
    dora = phone(network, "dora", FE1, name="example.test", records=False, refresh_s=6)
    emil = phone(network, "emil", FE2, records=False)

    async def play() -> None:
        async with AsyncExitStack() as stack:
            await registered(stack, dora, emil)
            await call(dora, emil)
            await killed(network, FE1)
            await dora.registered_again()
            await offered(emil, dora, "hold")
            await hung_up(emil, dora)
        await network.start(FE1)

    runner.run(play())
