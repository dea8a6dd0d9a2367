"""Links of users whom another pool serves now: closed over time, and not in the middle of a call."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.login.moved_logins import LONGEST_CALL_S
from sipmesh.transport.limits import Limits
from support.network import FE1, FE2, FE3, FE4, Network
from support.running import on_jumping_loop, on_loop, until
from support.talking import inside_of, talking
from support.user_changes import change_bob

BOB = "sip:bob@example.test"


def moved(network: Network, *servers: str) -> int:
    """How many links wait for their end at these servers."""
    return sum(len(network.nodes[name].logins.moved) for name in servers)


@pytest.mark.parametrize(("at", "status"), [(FE3, 503), (FE1, 401)])
@on_loop
async def test_call_of_a_user_who_is_moved_goes_on_and_the_registration_moves_with_its_end(
    two_pools: Network, at: str, status: int
) -> None:
    """At a server of the old pool, and at one of the new pool, which has carried the login to the old one."""
    async with two_pools:
        dora, bob = await two_pools.phone("dora", FE3), await two_pools.phone("bob", at)
        _, _, dialog = await talking(dora, bob)
        await bob.request_in("ACK")
        await change_bob(two_pools, "move")
        for name in (FE1, FE2):
            await two_pools.nodes[name].user_updates.refresh()
        assert moved(two_pools, FE3, FE4) == 1
        refused = await bob.ask(bob.request("REGISTER", "sip:example.test", to=f"<sip:{bob.user}>"))
        assert refused.status == status
        assert not any(two_pools.nodes[name].registrations.is_here(BOB) for name in (FE3, FE4))
        await dora.send(inside_of(dialog, dora, "INFO"))
        await bob.reply(await bob.request_in("INFO"), 200)
        assert (await dora.final(method="INFO")).status == 200
        await dora.send(inside_of(dialog, dora, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)
        assert (await dora.final(method="BYE")).status == 200
        await bob.hung_up()
        await until(lambda: not moved(two_pools, FE1, FE3, FE4))
        again = await two_pools.phone("bob", FE1)
        await dora.send(dora.request("MESSAGE", "sip:bob@example.test"))
        await again.reply(await again.request_in("MESSAGE"), 200)
        assert (await dora.final()).status == 200


@pytest.mark.parametrize("change", ["password", "remove"])
@on_loop
async def test_link_that_stays_for_a_call_is_closed_by_the_next_change_of_its_user(
    two_pools: Network, change: str
) -> None:
    """Its old pool is not told the new password: any change may be one."""
    async with two_pools:
        dora, bob = await two_pools.phone("dora", FE3), await two_pools.phone("bob", FE3)
        await talking(dora, bob)
        await change_bob(two_pools, "move")
        assert moved(two_pools, FE3) == 1
        await change_bob(two_pools, change)
        await bob.hung_up()
        assert two_pools.nodes[FE3].logins.moved.step() == []


@on_loop
async def test_links_are_closed_one_after_the_other(two_pools: Network) -> None:
    two_pools.limits = Limits(released_per_s=20)
    async with two_pools:
        node = two_pools.nodes[FE3]
        phones = [await two_pools.phone("bob", FE3) for _ in range(3)]
        for flow in node.flow_table.sessions():
            if flow.users:
                node.logins.moved.add(flow)
        assert len(node.logins.moved.step()) == 1
        assert len(node.logins.moved) == 2
        for phone in phones:
            await phone.hung_up()
        assert not len(node.logins.moved)


@on_jumping_loop
@pytest.mark.wide
async def test_call_that_is_never_ended_keeps_its_link_for_the_longest_time_only(two_pools: Network) -> None:
    async with two_pools:
        dora, bob = await two_pools.phone("dora", FE3), await two_pools.phone("bob", FE3)
        await talking(dora, bob)
        node = two_pools.nodes[FE3]
        assert node.logins.moved.longest_call_s == LONGEST_CALL_S
        node.logins.moved.longest_call_s = 20.0
        await change_bob(two_pools, "move")
        (flow,) = [flow for flow in node.flow_table.sessions() if BOB in flow.users]
        assert flow in node.logins.moved
        at = node.loop.time()
        await until(lambda: flow.closed)
        assert 19 <= node.loop.time() - at <= 21
