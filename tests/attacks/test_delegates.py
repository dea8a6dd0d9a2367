"""What a delegate, and the stolen front end of a delegate, may not do for the other user: everything but a new call."""

from __future__ import annotations

import pytest

from attacks.test_stolen_front_end import ALICE, CAROL, claim, stolen
from server.proxy.events.test_notifier import BUSY, PIDF, watch
from support.call_rules import rules
from support.network import FE1, Network
from support.running import on_loop


@pytest.mark.parametrize("package", ["reg", "message-summary", "presence"])
@on_loop
async def test_front_end_of_a_delegate_reads_no_state_of_the_other_user(two_pools: Network, package: str) -> None:
    await rules(two_pools, "alice", delegates=("bob",))
    async with two_pools:
        alice, thief = await two_pools.phone("alice", FE1), await stolen(two_pools)
        asked = thief.request("SUBSCRIBE", ALICE, [("event", package), claim(ALICE)])
        assert (await thief.ask(asked)).status == 403
        await watch(alice, ALICE, package)


@on_loop
async def test_front_end_of_a_delegate_publishes_nothing_for_the_other_user(two_pools: Network) -> None:
    await rules(two_pools, "alice", delegates=("bob",))
    async with two_pools:
        thief = await stolen(two_pools)
        asked = thief.request("PUBLISH", ALICE, [("event", "presence"), claim(ALICE), PIDF], BUSY)
        assert (await thief.ask(asked)).status == 403


@on_loop
async def test_front_end_of_a_delegate_calls_for_the_other_user_and_writes_nothing(two_pools: Network) -> None:
    await rules(two_pools, "alice", delegates=("bob",))
    async with two_pools:
        carol, thief = await two_pools.phone("carol", FE1), await stolen(two_pools)
        await thief.send(thief.request("INVITE", CAROL, [claim(ALICE)]))
        came = await carol.request_in("INVITE")
        assert came.values("p-asserted-identity") == [f"<{ALICE}>"]
        await carol.reply(came, 486)
        assert (await thief.final()).status == 486
        assert (await carol.request_in("ACK")).method == "ACK"
        for method in ("MESSAGE", "OPTIONS", "SUBSCRIBE", "REFER", "NOTIFY", "INFO", "UPDATE"):
            await thief.send(thief.request(method, CAROL, [claim(ALICE)]))
            assert (await thief.final()).status == 403, method
        await carol.silent()
