"""A backup pool serves the users of a pool whose servers are gone, and gives them back. Attacks with their controls."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.routing.outcome import RETRY_AFTER_S
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.role import Role
from support.backing import Divide, back, pair, passed
from support.carrying import carrier, credentials, path_of, registration
from support.network import (
    BEGAN,
    EDGE,
    EXAMPLE,
    FE1,
    FE2,
    FE3,
    FE4,
    PARTNER_FE,
    POOL,
    POOL2,
    Network,
    copied,
    finished,
    hung_up_by_the_other,
    ringing,
    text,
)
from support.running import on_jumping_loop, on_loop, until
from support.talking import inside_of, reaches, talking

AFTER_S = 60
ALICE = "sip:alice@example.test"
POOL3, FE5 = "pool3.example.test", "fe5.example.test"


@pytest.fixture(name="three_pools_model", scope="module")
def _three_pools_model(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """One server in each pool: the second is the backup of the first, and the third of none."""
    plans = [PoolPlan(pool, Role.FRONT_END, (name,)) for pool, name in ((POOL, FE1), (POOL2, FE3), (POOL3, FE5))]
    folder = tmp_path_factory.mktemp("model") / EXAMPLE
    made = finished(Organisation.build(folder, EXAMPLE, tuple(plans), issued_at=BEGAN))
    for user, pool in (("alice", POOL), ("bob", POOL2), ("carol", POOL3)):
        made.add_users(user, pool=pool)
    back(made)
    return made


@pytest.fixture(name="three_pools")
def _three_pools(three_pools_model: Organisation, tmp_path: Path) -> Network:
    return Network((copied(three_pools_model, tmp_path / "e"),), starts=(FE1, FE3, FE5))


async def lost(network: Network, *servers: str) -> None:
    """Stop the servers of the first pool, and wait until the second one has taken over."""
    for server in servers:
        await network.stop(server)
    backing = [node for node in network.nodes.values() if node.view.pool.name == POOL2]
    await until(lambda: all(POOL in node.takeovers.pools for node in backing))


async def refused_once(network: Network, user: str, server: str) -> None:
    """Fail to log in at a server that has no link to the home pool: with that it finds out that no server answers there."""
    refused = await (await network.peer(server, user)).register()
    assert refused.status == 503


# What the backup pool does for the users


@on_jumping_loop
async def test_backup_pool_serves_the_users_and_gives_them_back(two_pools: Network) -> None:
    pair(two_pools)
    async with two_pools:
        before = asyncio.get_running_loop().time()
        await lost(two_pools, FE1, FE2)
        assert asyncio.get_running_loop().time() - before >= AFTER_S
        alice, bob = await two_pools.agent("alice", FE3), await two_pools.agent("bob", FE4)
        for caller, callee in ((alice, bob), (bob, alice)):
            assert (await caller.message(callee.party.aor, "hello")).ok
            came = await text(callee)
            assert (came.sender, came.identity) == (caller.party.aor, caller.party.aor)
        made = await bob.call(alice.party.aor)
        rang = await ringing(alice)
        assert (await made.answered()).status == 200
        assert await hung_up_by_the_other(rang, made)
        two_pools.start(FE2)
        await alice.gone()
        assert not two_pools.nodes[FE3].takeovers.pools
        alice = await two_pools.agent("alice", FE3)
        assert len(two_pools.nodes[FE2].home_flows) == 1
        assert (await bob.message(alice.party.aor, "back")).ok
        assert (await text(alice)).text == "back"


@pytest.mark.wide
@on_jumping_loop
async def test_third_pool_sends_requests_and_logins_to_the_backup_pool_and_home_again(three_pools: Network) -> None:
    async with three_pools:
        carol = await three_pools.phone("carol", FE5)
        await lost(three_pools, FE1)
        await refused_once(three_pools, "alice", FE5)
        alice = await three_pools.phone("alice", FE5)
        assert len(three_pools.nodes[FE3].home_flows) == 1
        await reaches(carol, alice)
        await reaches(alice, carol)
        three_pools.start(FE1)
        await alice.hung_up()
        alice = await three_pools.phone("alice", FE5)
        assert (len(three_pools.nodes[FE3].home_flows), len(three_pools.nodes[FE1].home_flows)) == (0, 1)
        await reaches(carol, alice)


@on_jumping_loop
async def test_request_from_a_third_pool_before_the_takeover_may_be_tried_again(three_pools: Network) -> None:
    """The 500 said nothing of another try, and phones gave up."""
    async with three_pools:
        carol = await three_pools.phone("carol", FE5)
        await three_pools.stop(FE1)
        for method in ("MESSAGE", "SUBSCRIBE", "INVITE"):
            early = await carol.ask(carol.request(method, ALICE, [("event", "presence")]))
            assert (early.status, early.values("retry-after")) == (500, [RETRY_AFTER_S])
        await until(lambda: POOL in three_pools.nodes[FE3].takeovers.pools)
        await reaches(carol, await three_pools.phone("alice", FE3))


@pytest.mark.wide
@on_jumping_loop
async def test_call_at_the_backup_pool_ends_there_before_its_user_is_given_back(three_pools: Network) -> None:
    async with three_pools:
        await lost(three_pools, FE1)
        bob, alice = await three_pools.phone("bob", FE3), await three_pools.phone("alice", FE3)
        _, _, dialog = await talking(bob, alice)
        await alice.request_in("ACK")
        three_pools.start(FE1)
        node = three_pools.nodes[FE3]
        await until(lambda: len(node.logins.moved))
        await passed(30)
        await bob.send(inside_of(dialog, bob, "BYE"))
        await alice.reply(await alice.request_in("BYE"), 200)
        assert (await bob.final(method="BYE")).status == 200
        await alice.hung_up()


@on_loop
@pytest.mark.wide
async def test_backup_pool_stores_no_message(three_pools: Network) -> None:
    """What it stored would stay there when the home pool is back."""
    back(three_pools.organisations[0], after_s=2)
    async with three_pools:
        bob = await three_pools.phone("bob", FE3)
        message = ("content-type", "text/plain")
        stored = await bob.ask(bob.request("MESSAGE", ALICE, [message], body=b"one"))
        await lost(three_pools, FE1)
        refused = await bob.ask(bob.request("MESSAGE", ALICE, [message], body=b"two"))
        assert (stored.status, refused.status) == (202, 480)


@pytest.mark.wide
@on_jumping_loop
async def test_partner_reaches_the_users_through_the_backup_pool_of_the_next_hop(federated_pools: Network) -> None:
    pair(federated_pools)
    async with federated_pools:
        erin = await federated_pools.agent("erin", PARTNER_FE)
        await lost(federated_pools, FE1, FE2)
        for user, server in (("alice", FE3), ("bob", FE4)):
            callee = await federated_pools.agent(user, server)
            for caller, called in ((erin, callee), (callee, erin)):
                assert (await caller.message(called.party.aor, "hello")).ok
                assert (await text(called)).identity == caller.party.aor


@pytest.mark.wide
@on_jumping_loop
async def test_remote_user_is_carried_to_the_backup_pool_of_the_next_hop(remote: Network) -> None:
    pair(remote)
    async with remote:
        await lost(remote, FE1, FE2)
        bob = await remote.agent("bob", FE3)
        await refused_once(remote, "alice", EDGE)
        alice = await remote.agent("alice", EDGE)
        assert (await bob.message(alice.party.aor, "hello")).ok
        assert (await text(alice)).text == "hello"


# Who may not take users


@on_jumping_loop
async def test_server_that_says_that_the_home_pool_is_gone_gets_no_user_of_it(three_pools: Network) -> None:
    """It carries a login with the right password to the backup pool. Before the takeover it gets not even a challenge."""
    async with three_pools:
        thief, path = await carrier(three_pools, FE3, FE5, "alice"), path_of(FE5)
        refused = await thief.ask(registration(thief, path))
        assert (refused.status, refused.values("www-authenticate")) == (503, [])
        await lost(three_pools, FE1)
        challenged = await thief.ask(registration(thief, path))
        wrong = await thief.ask(registration(thief, path, [credentials(thief, challenged, "wrong")]))
        right = await thief.ask(registration(thief, path, [credentials(thief, wrong)]))
        assert (challenged.status, wrong.status, right.status) == (401, 401, 200)


@pytest.mark.wide
@on_jumping_loop
async def test_request_for_a_user_is_not_served_by_the_backup_pool_while_the_home_pool_answers(
    three_pools: Network,
) -> None:
    async with three_pools:
        alice = await three_pools.phone("alice", FE1)
        peer = await three_pools.peer(FE3, "carol", FE5)
        asked = peer.request("MESSAGE", ALICE, [("p-asserted-identity", "<sip:carol@example.test>")])
        assert (await peer.ask(asked)).status == 503
        await alice.silent()
        await lost(three_pools, FE1)
        alice = await three_pools.phone("alice", FE3)
        await peer.send(peer.request("MESSAGE", ALICE, [("p-asserted-identity", "<sip:carol@example.test>")]))
        await alice.reply(await alice.request_in("MESSAGE"), 200)
        assert (await peer.final()).status == 200


@pytest.mark.wide
@on_jumping_loop
async def test_pool_that_is_no_backup_serves_no_user_and_knows_no_password(three_pools: Network) -> None:
    async with three_pools:
        await lost(three_pools, FE1)
        stranger, rightful = three_pools.nodes[FE5], three_pools.nodes[FE3]
        assert not stranger.takeovers.pools
        assert (stranger.homes.verifier(ALICE), stranger.homes.of(ALICE)) == (None, POOL)
        assert rightful.homes.verifier(ALICE) is not None
        await refused_once(three_pools, "alice", FE5)
        await three_pools.phone("alice", FE5)
        assert (stranger.registrations.count(), rightful.registrations.count()) == (0, 1)


@pytest.mark.wide
@on_jumping_loop
async def test_network_that_is_split_has_no_false_identity_and_ends_well(three_pools: Network) -> None:
    """Both pools live and do not see each other: alice is registered at both, each time with her password."""
    async with three_pools, Divide(three_pools, FE1, FE3) as divide:
        at_home, bob = await three_pools.phone("alice", FE1), await three_pools.phone("bob", FE3)
        divide.stop()
        await until(lambda: three_pools.nodes[FE3].takeovers.pools)
        thief = await three_pools.peer(FE3, "alice")
        assert (await thief.register(password="wrong")).status == 401
        elsewhere = await three_pools.phone("alice", FE3)
        await elsewhere.send(elsewhere.request("MESSAGE", "sip:bob@example.test"))
        came = await bob.request_in("MESSAGE")
        assert came.values("p-asserted-identity") == [f"<{ALICE}>"]
        await bob.reply(came, 200)
        assert (await elsewhere.final()).status == 200
        await reaches(bob, elsewhere)
        carol = await three_pools.phone("carol", FE5)
        await reaches(carol, at_home)  # this pool sees the home pool
        divide.go_on()
        await elsewhere.hung_up()
        assert not three_pools.nodes[FE3].takeovers.pools
        elsewhere = await three_pools.phone("alice", FE3)
        assert len(three_pools.nodes[FE1].home_flows) == 1
        await bob.send(bob.request("MESSAGE", ALICE))
        for device in (at_home, elsewhere):
            await device.request_in("MESSAGE")


@pytest.mark.wide
@on_jumping_loop
async def test_new_password_counts_at_the_backup_pool_at_once(three_pools: Network) -> None:
    async with three_pools:
        await lost(three_pools, FE1)
        alice = await three_pools.phone("alice", FE3)
        users = Users(three_pools.organisations[0].load().users_url)
        users.set_password("alice@example.test", "another")
        users.close()
        await three_pools.nodes[FE3].user_updates.refresh()
        await alice.hung_up()
        again = await three_pools.peer(FE3, "alice")
        assert (await again.register()).status == 401
        assert (await again.register(password="another")).status == 200
