"""A NOTIFY without a subscription, such as `check-sync`, at which many phones start again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.sip.message import Request, Response
from sipmesh.trust.evidence import LinkKind
from support.network import BOT, EDGE, FE1, FE2, FE3, PARTNER_EDGE, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking
from support.tiers import wide_after

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


@pytest.mark.parametrize("event", wide_after(1, EVENTS))
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


async def rings(caller: Peer, carol: Peer) -> Dialog:
    """Call carol, whose phone rings; the early dialog as the caller has it."""
    invite = caller.request("INVITE", CAROL)
    await caller.send(invite)
    await carol.reply(await carol.request_in("INVITE"), 180)
    while not (isinstance(response := await caller.receive(), Response) and response.status == 180):
        pass
    return Dialog.of_caller(invite, response)


def notify(dialog: Dialog, caller: Peer, event: str) -> Request:
    request = inside_of(dialog, caller, "NOTIFY")
    for name, value in about(event):
        request.append(name, value)
    return request


@pytest.mark.parametrize("sender", wide_after(3, SENDERS))
@on_loop
async def test_caller_has_no_phone_answer_or_start_again(
    remote: Network, sender: Callable[[Network], Awaitable[Peer]]
) -> None:
    """The phone rings, so the caller has a dialog with it. Control: what the caller tells about a transfer arrives."""
    async with remote:
        carol, peer = await remote.phone("carol", FE2), await sender(remote)
        dialog = await rings(peer, carol)
        for event in ("talk", "Talk;x=1", "hold", "check-sync"):
            assert (await peer.ask(notify(dialog, peer, event))).status == 481, event
        await carol.silent()
        await peer.send(notify(dialog, peer, "refer"))
        await carol.reply(await carol.request_in("NOTIFY"), 200)
        assert (await peer.final(method="NOTIFY")).status == 200


@on_loop
async def test_callee_has_no_phone_start_again(pool: Network) -> None:
    """The other side of the call is in its dialog too."""
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE2)
        came, _, _ = await talking(alice, carol)
        await carol.request_in("ACK")
        by_carol = Dialog.of_callee(came, carol.tag)
        assert (await carol.ask(notify(by_carol, carol, EVENTS[0]))).status == 481
        await alice.silent()
        await carol.send(notify(by_carol, carol, "refer"))
        await alice.reply(await alice.request_in("NOTIFY"), 200)


@on_loop
async def test_application_may_have_a_phone_start_again(pool: Network) -> None:
    """It provisions the phones; the phone is at another server than the application."""
    pool.let_application_speak()
    async with pool:
        carol, bot = await pool.phone("carol", FE2), await pool.peer(FE1, "alice", BOT)
        await bot.send(bot.request("NOTIFY", CAROL, about(EVENTS[0])))
        await carol.reply(await carol.request_in("NOTIFY"), 200)
        assert (await bot.final()).status == 200
