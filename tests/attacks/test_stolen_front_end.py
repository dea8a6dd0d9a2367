"""What a stolen front end of another pool cannot do to the users of a pool, each beside what an honest one may do.

FE3 is a server of the second pool, where bob and dora are at home; alice is at home in the first.
"""

from __future__ import annotations

import pytest

from server.proxy.events.test_notifier import BUSY, PIDF, again, publish, told, watch
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.role import Role
from support.network import BOT, FE1, FE2, FE3, FE4, POOL2, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking
from support.tiers import wide_after

ALICE, BOB, CAROL = "sip:alice@example.test", "sip:bob@example.test", "sip:carol@example.test"
NUMBER = "tel:+4930123"


def claim(aor: str) -> tuple[str, str]:
    return "p-asserted-identity", f"<{aor}>"


async def stolen(network: Network, user: str = "bob", at: str = FE1) -> Peer:
    """A link to a server of the first pool with the certificate of FE3, which speaks as *user*."""
    return await network.peer(at, user, FE3)


@pytest.mark.parametrize(
    ("sender", "headers"),
    wide_after(
        5,
        [
            (ALICE, []),
            (ALICE, [claim(ALICE)]),
            (BOB, [claim(ALICE)]),
            (ALICE, [claim(BOB)]),
            ("sip:Alice@example.test", [claim(BOB)]),
            ("sip:%61lice@example.test", []),
            ("sip:+4930123@example.test", [claim(BOB)]),
            (NUMBER, [claim(BOB)]),
            ("sip:+4930123;ext=1@example.test", [claim(BOB)]),
            ("sip:+49-30-123;isub=1@example.test", []),
            ("sip:%2B4930123%3Bext=1@example.test", [claim(BOB)]),
            (f"{NUMBER};ext=1", [claim(BOB)]),
            (BOB, [claim("sip:+4930123;ext=1@example.test")]),
            ("sip:anonymous@anonymous.invalid", [claim(ALICE)]),
            (BOB, [claim(BOB), claim(ALICE)]),
        ],
    ),
)
@on_loop
async def test_front_end_of_another_pool_speaks_as_no_user_of_this_pool(
    two_pools: Network, sender: str, headers: list[tuple[str, str]]
) -> None:
    """By no name of alice; a user of its own pool passes, on the same link."""
    users = Users(two_pools.organisations[0].load().users_url)
    users.add_alias("alice@example.test", NUMBER)
    users.close()
    async with two_pools:
        carol, thief = await two_pools.phone("carol", FE1), await stolen(two_pools)
        forged = thief.request("MESSAGE", CAROL, headers, sender=f"<{sender}>;tag=x")
        assert (await thief.ask(forged)).status == 403
        await carol.silent()
        await thief.send(thief.request("MESSAGE", CAROL, [claim(BOB)]))
        came = await carol.request_in("MESSAGE")
        assert came.values("p-asserted-identity") == [f"<{BOB}>"]
        await carol.reply(came, 200)
        assert (await thief.final()).status == 200


@pytest.mark.parametrize("package", ["reg", "message-summary", "presence"])
@on_loop
async def test_front_end_of_another_pool_reads_no_state_of_a_user_in_the_name_of_that_user(
    two_pools: Network, package: str
) -> None:
    async with two_pools:
        alice, thief = await two_pools.phone("alice", FE1), await stolen(two_pools, "alice")
        asked = thief.request("SUBSCRIBE", ALICE, [("event", package), claim(ALICE)])
        assert (await thief.ask(asked)).status == 403
        await watch(alice, ALICE, package)


@on_loop
async def test_front_end_of_another_pool_publishes_for_no_user_of_this_pool(two_pools: Network) -> None:
    async with two_pools:
        alice, thief = await two_pools.phone("alice", FE1), await stolen(two_pools, "alice")
        asked = thief.request("PUBLISH", ALICE, [("event", "presence"), claim(ALICE), PIDF], BUSY)
        assert (await thief.ask(asked)).status == 403
        assert (await alice.ask(publish(alice, BUSY))).status == 200


@on_loop
async def test_front_end_of_another_pool_ends_no_subscription_of_a_user(two_pools: Network) -> None:
    async with two_pools:
        alice, thief = await two_pools.phone("alice", FE1), await stolen(two_pools, "alice")
        granted, _ = await watch(alice, ALICE, "reg")
        ended = again(alice, granted, 0)
        ended.replace("via", thief.via())
        ended.append("p-asserted-identity", f"<{ALICE}>")
        assert (await thief.ask(ended)).status in {403, 481}
        await alice.silent()
        mine = again(alice, granted, 0)
        mine.replace("event", "reg")
        assert (await alice.ask(mine)).status == 200
        assert (await told(alice)).first(
            "subscription-state",
        ) == "terminated;reason=timeout"


@pytest.mark.parametrize(("name", "headers"), [(ALICE, []), (BOB, [claim(ALICE)])])
@on_loop
async def test_front_end_of_another_pool_names_no_user_of_this_pool_inside_a_call(
    two_pools: Network, name: str, headers: list[tuple[str, str]]
) -> None:
    """RFC 4916 lets it change the name of its side, to a user of its own pool."""
    async with two_pools:
        bob, carol = await two_pools.phone("bob", FE3), await two_pools.phone("carol", FE1)
        _, _, dialog = await talking(bob, carol)
        await carol.request_in("ACK")
        thief = await stolen(two_pools)
        for sender, rows, status in ((name, headers, 403), (BOB, [], 200), ("sip:dora@example.test", [], 200)):
            update = inside_of(dialog, bob, "UPDATE")
            update.replace("via", thief.via())
            update.replace("from", f"<{sender}>;tag={update.from_.tag}")
            update.rows[:] = [row for row in update.rows if row.name != "route" or f"@{FE3}" not in row.value]
            for header, value in rows:
                update.append(header, value)
            await thief.send(update)
            if status == 200:
                await carol.reply(await carol.request_in("UPDATE"), 200)
            assert (await thief.final()).status == status


@on_loop
async def test_users_of_each_pool_reach_the_other_by_their_home_pool(two_pools: Network) -> None:
    """Also where a third server has their links, and where the message goes on inside the pool."""
    async with two_pools:
        bob, dora = await two_pools.phone("bob", FE1), await two_pools.phone("dora", FE4)
        alice, carol = await two_pools.phone("alice", FE3), await two_pools.phone("carol", FE2)
        phones = (bob, dora, alice, carol)
        for writer in phones:
            for reader in phones:
                if reader is not writer:
                    await writer.send(writer.request("MESSAGE", f"sip:{reader.user}"))
                    came = await reader.request_in("MESSAGE")
                    assert came.values("p-asserted-identity") == [f"<sip:{writer.user}>"]
                    await reader.reply(came, 200)
                    assert (await writer.final()).status == 200


@pytest.mark.parametrize(("speaks_for", "status"), [(["example.test"], 200), ([], 403)])
@on_loop
async def test_application_behind_another_pool_speaks_for_users_where_the_topology_says_so(
    two_pools: Network, speaks_for: list[str], status: int
) -> None:
    organisation: Organisation = two_pools.organisations[0]
    pools = organisation.document["pools"]
    assert isinstance(pools, list)
    pools.append(
        organisation._pool(PoolPlan(BOT, Role.APPLICATION, (BOT,), {"next_hop": POOL2, "speaks_for": speaks_for}))
    )
    organisation.write()
    organisation.issue(BOT)
    async with two_pools:
        carol, bot = await two_pools.phone("carol", FE1), await two_pools.peer(FE3, "alice", BOT)
        await bot.send(bot.request("MESSAGE", CAROL, [claim(ALICE)]))
        if status == 200:
            await carol.reply(await carol.request_in("MESSAGE"), 200)
        assert (await bot.final()).status == status
