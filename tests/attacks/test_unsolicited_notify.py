"""A NOTIFY that nobody has asked for, such as `check-sync`, at which many phones start again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from sipmesh.trust.evidence import LinkKind
from support.network import BOT, EDGE, FE1, FE2, FE3, PARTNER_EDGE, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop

CAROL = "sip:carol@example.test"
EVENTS = ["check-sync;reboot=true", "message-summary", "talk"]


def about(event: str) -> list[tuple[str, str]]:
    return [("event", event), ("subscription-state", "active")]


async def by_a_user(network: Network) -> Peer:
    return await network.phone("alice", FE1)


async def by_a_remote_user(network: Network) -> Peer:
    return await network.phone("alice", EDGE)


async def by_a_user_of_another_pool(network: Network) -> Peer:
    return await network.phone("bob", FE3)


async def by_a_partner(network: Network) -> Peer:
    return await network.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)


async def by_a_user_of_a_partner(network: Network) -> Peer:
    return await network.phone("erin", PARTNER_FE)


async def by_a_stolen_edge(network: Network) -> Peer:
    return await network.peer(FE1, "erin@partner.test", EDGE)


SENDERS = [
    by_a_user,
    by_a_remote_user,
    by_a_user_of_another_pool,
    by_a_partner,
    by_a_user_of_a_partner,
    by_a_stolen_edge,
]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("sender", SENDERS)
@on_loop
async def test_notify_outside_a_subscription_reaches_no_phone(
    remote: Network, sender: Callable[[Network], Awaitable[Peer]], event: str
) -> None:
    """A message of the same sender arrives."""
    async with remote:
        carol, peer = await remote.phone("carol", FE2), await sender(remote)
        assert (await peer.ask(peer.request("NOTIFY", CAROL, about(event)))).status == 481
        await carol.silent()
        await peer.send(peer.request("MESSAGE", CAROL))
        await carol.reply(await carol.request_in("MESSAGE"), 200)
        assert (await peer.final()).status == 200


@on_loop
async def test_application_may_have_a_phone_start_again(pool: Network) -> None:
    """It provisions the phones; the phone is at another server than the application."""
    pools = pool.organisations[0].document["pools"]
    assert isinstance(pools, list)
    next(one for one in pools if one["name"] == BOT)["speaks_for"] = ["example.test"]
    pool.organisations[0].write()
    async with pool:
        carol, bot = await pool.phone("carol", FE2), await pool.peer(FE1, "alice", BOT)
        await bot.send(bot.request("NOTIFY", CAROL, about(EVENTS[0])))
        await carol.reply(await carol.request_in("NOTIFY"), 200)
        assert (await bot.final()).status == 200
