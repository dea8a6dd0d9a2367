"""The profile of a user tells its phones for whom the user may call, and no other user."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from server.portal.topologies import topology as with_portal
from server.proxy.events.test_notifier import subscribe, told, watch
from sipmesh.server.proxy.events.user_profile import portal_of
from support.call_rules import rules
from support.network import FE1, FE2, FE3, Network
from support.peer import Peer
from support.running import on_loop

if TYPE_CHECKING:
    from sipmesh.topology.view import ServerView

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"


async def calls_for(phone: Peer) -> list[str]:
    _, notify = await watch(phone, f"sip:{phone.user}", "ua-profile")
    found: list[str] = json.loads(notify.body)["callsFor"]
    return found


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_delegate_learns_for_whom_it_may_call(pool: Network, server: str) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", server), await pool.phone("bob", FE1)
        assert await calls_for(alice) == []
        await rules(pool, "bob", delegates=("alice",))
        await rules(pool, "carol", delegates=("alice",))
        assert await calls_for(alice) == ["bob@example.test", "carol@example.test"]
        assert await calls_for(bob) == []
        assert (await bob.ask(subscribe(bob, ALICE, "ua-profile"))).status == 403
        await rules(pool, "carol", delegates=("none",))
        assert await calls_for(alice) == ["bob@example.test"]


@on_loop
async def test_phone_gets_the_rules_of_its_user_at_once_and_of_no_other_user(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        _, notify = await watch(alice, ALICE, "ua-profile")
        assert json.loads(notify.body)["callRules"] == {}
        await rules(pool, "alice", no_answer="carol", ring_s=10, callers={"bob@example.test": "block"})
        found = json.loads((await told(alice)).body)["callRules"]
        assert found == {
            "no_answer": "sip:carol@example.test",
            "ring_s": 10,
            "callers": {"sip:bob@example.test": "block"},
        }
        _, notify = await watch(bob, BOB, "ua-profile")
        assert json.loads(notify.body)["callRules"] == {}


@on_loop
async def test_delegate_of_another_pool_learns_it_too(two_pools: Network) -> None:
    """Bob is at home in the second pool."""
    async with two_pools:
        alice, dora = await two_pools.phone("alice", FE1), await two_pools.phone("dora", FE3)
        await rules(two_pools, "bob", delegates=("alice",))
        assert await calls_for(alice) == ["bob@example.test"]
        assert await calls_for(dora) == []


@pytest.mark.parametrize("has_portal", [True, False])
def test_profile_names_the_portal_if_there_is_one(*, has_portal: bool) -> None:
    topology = with_portal() if has_portal else with_portal(portal=None)
    view = cast(
        "ServerView", SimpleNamespace(loaded=SimpleNamespace(topology=topology), invitation_hosts=("join.test",))
    )
    assert portal_of(view) == ("https://join.test/portal" if has_portal else "")
