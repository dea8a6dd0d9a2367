"""Toll fraud by a REFER outside a call: a phone made for click-to-dial places the call, and does not ask its user."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from attacks.test_unsolicited_notify import CAROL, SENDERS
from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.message import Request, Response
from support.network import BOT, EXAMPLE, FE1, FE2, FE3, POOL, Network
from support.peer import Peer
from support.running import on_loop, until
from support.siblings import ONE, TWO, pair_of
from support.talking import inside_of, talking
from support.tiers import wide_after

DEVICE = "urn:uuid:00000000-0000-1000-8000-000a95a0e128"
PREMIUM = ("refer-to", "<sip:900123@premium.test>")
SILENT = 501
"""Requests of each of two users that wait for an answer: together more than one user may have."""

TARGET_DIALOG = [("target-dialog", "c1;local-tag=1;remote-tag=2"), ("require", "tdialog")]


def refer(peer: Peer, to: str, *headers: tuple[str, str]) -> Request:
    return peer.request("REFER", to, [PREMIUM, *headers])


def transfer(dialog: Dialog, peer: Peer) -> Request:
    request = inside_of(dialog, peer, "REFER")
    request.append(*PREMIUM)
    return request


@pytest.mark.parametrize("sender", wide_after(3, SENDERS))
@on_loop
async def test_no_user_has_a_phone_call_another_outside_a_call(
    remote: Network, sender: Callable[[Network], Awaitable[Peer]]
) -> None:
    """By name, by Contact, and with a dialog that no phone has. A transfer of the same sender, inside its call, arrives."""
    async with remote:
        carol, peer = await remote.phone("carol", FE2), await sender(remote)
        for asked in (refer(peer, CAROL), refer(peer, CAROL, *TARGET_DIALOG), refer(peer, carol.contact[1:-1])):
            assert (await peer.ask(asked)).status in {403, 404}, asked
        await carol.silent()
        _, _, dialog = await talking(peer, carol)
        await carol.request_in("ACK")
        await peer.send(transfer(dialog, peer))
        await carol.reply(await carol.request_in("REFER"), 202)
        assert (await peer.final(method="REFER")).status == 202


@pytest.mark.parametrize("sender", wide_after(3, SENDERS))
@on_loop
async def test_caller_refers_no_phone_that_rings(remote: Network, sender: Callable[[Network], Awaitable[Peer]]) -> None:
    """The caller has an early dialog, but the callee has not accepted the call. After the 200, the transfer arrives."""
    async with remote:
        carol, peer = await remote.phone("carol", FE2), await sender(remote)
        invite = peer.request("INVITE", CAROL)
        await peer.send(invite)
        came = await carol.request_in("INVITE")
        await carol.reply(came, 180)
        while not (isinstance(ringing := await peer.receive(), Response) and ringing.status == 180):
            pass
        dialog = Dialog.of_caller(invite, ringing)
        for _ in range(2):
            assert (await peer.ask(transfer(dialog, peer))).status == 403
        await carol.silent()
        await carol.reply(came, 200)
        assert (await peer.final(method="INVITE")).status == 200
        await peer.send(inside_of(dialog, peer, "ACK"))
        await carol.request_in("ACK")
        await peer.send(transfer(dialog, peer))
        await carol.reply(await carol.request_in("REFER"), 202)
        assert (await peer.final(method="REFER")).status == 202


async def ringing_call(caller: Peer, callee: Peer) -> tuple[Request, Dialog]:
    """Have the phone of *callee* ring: the INVITE as it got it, and the early dialog as the caller has it."""
    invite = caller.request("INVITE", f"sip:{callee.user}")
    await caller.send(invite)
    came = await callee.request_in("INVITE")
    await callee.reply(came, 180)
    while not (isinstance(ringing := await caller.receive(), Response) and ringing.status == 180):
        pass
    return came, Dialog.of_caller(invite, ringing)


@on_loop
async def test_callee_refers_no_carried_caller_while_it_rings(two_pools: Network) -> None:
    """Also after more than a thousand requests of carried users that the server of their link has sent since."""
    two_pools.of(EXAMPLE).add_users("alan", pool=POOL)
    async with two_pools:
        await two_pools.stop(FE2)  # so that both are carried by one link
        alice, alan = await two_pools.phone("alice", FE3), await two_pools.phone("alan", FE3)
        carol = await two_pools.phone("carol", FE1)
        came, _ = await ringing_call(alice, carol)
        for peer in (alice, alan):
            await peer.send(*[peer.request("OPTIONS", f"sip:{carol.user}") for _ in range(SILENT)])
            for _ in range(SILENT):
                await carol.request_in("OPTIONS")
        back = Dialog.of_callee(came, carol.tag)
        assert (await carol.ask(transfer(back, carol))).status == 403
        await carol.reply(came, 200)
        while not (isinstance(taken := await alice.receive(), Response) and taken.status == 200):
            pass
        await carol.send(transfer(back, carol))
        await alice.reply(await alice.request_in("REFER"), 202)
        assert (await carol.final(method="REFER")).status == 202


@pytest.mark.parametrize(("phone", "first", "second"), [(ONE, ONE, TWO), (ONE, TWO, ONE), (TWO, ONE, ONE)])
@on_loop
async def test_caller_refers_no_phone_that_rings_by_another_worker(
    example: Organisation, phone: int, first: int, second: int
) -> None:
    """The INVITE and the REFER come on two links of the caller. After the 200, the transfer arrives."""
    async with pair_of(example) as pair:
        carol = await pair.phone("carol", phone)
        peer, other = await pair.phone("alice", first), await pair.phone("alice", second)
        await until(lambda: all(logins(node) == 3 for node in pair.nodes.values()))
        came, dialog = await ringing_call(peer, carol)
        refused = await other.ask(transfer(dialog, other))
        warning = refused.first("warning") or ""
        assert (refused.status, "refused: identity" in warning) == (403, True)
        told = [line for one in pair.told.values() for line in one.events("message refused")]
        assert [line["method"] for line in told] == ["REFER"]
        assert str(told[0]["reference"]) in warning
        await carol.silent()
        await carol.reply(came, 200)
        assert (await peer.final(method="INVITE")).status == 200
        await peer.send(inside_of(dialog, peer, "ACK"))
        await carol.request_in("ACK")
        await other.send(transfer(dialog, other))
        await carol.reply(await carol.request_in("REFER"), 202)
        assert (await other.final(method="REFER")).status == 202


def logins(node: RunningServer) -> int:
    """The links of users that a worker knows of, here and at the other worker."""
    return sum(1 for flow in node.flow_table.sessions() if flow.users)


@on_loop
async def test_caller_refers_no_phone_that_rings_by_its_other_link(home: Network) -> None:
    """A phone with two links (RFC 5626) rings on one, and renews the other: its GRUU leads there. After the 200 it passes."""
    async with home:
        alice, ringing, renewed = [await home.peer(FE1, user) for user in ("alice", "carol", "carol")]
        assert (await alice.register()).status == 200
        for number, link in enumerate((renewed, ringing)):
            await register_device(link, number)
        came, dialog = await ringing_call(alice, ringing)
        await register_device(renewed, 0)
        dialog.target = f"{CAROL};gr={DEVICE}"
        assert (await alice.ask(transfer(dialog, alice))).status == 403
        await renewed.silent()
        await ringing.reply(came, 200)
        assert (await alice.final(method="INVITE")).status == 200
        await alice.send(transfer(dialog, alice))
        await renewed.reply(await renewed.request_in("REFER"), 202)
        assert (await alice.final(method="REFER")).status == 202


async def register_device(link: Peer, number: int) -> None:
    """Register *link* as the link with this *number* of the one device of its user."""
    contact, link.contact = link.contact, f'{link.contact};+sip.instance="<{DEVICE}>";reg-id={number + 1}'
    assert (await link.register([("supported", "outbound, gruu, path")])).status == 200
    link.contact = contact


@on_loop
async def test_callee_refers_no_caller_before_it_has_answered(pool: Network) -> None:
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE2)
        await alice.send(alice.request("INVITE", CAROL))
        came = await carol.request_in("INVITE")
        await carol.reply(came, 180)
        dialog = Dialog.of_callee(came, carol.tag)
        await carol.send(transfer(dialog, carol))
        assert (await carol.final(method="REFER")).status == 403
        await carol.reply(came, 200)
        assert (await alice.final(method="INVITE")).status == 200
        await carol.send(transfer(dialog, carol))
        await alice.reply(await alice.request_in("REFER"), 202)


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_user_refers_its_own_phone(pool: Network, server: str) -> None:
    """A program of the user starts a call from the desk phone."""
    async with pool:
        desk, program = await pool.phone("carol", FE2), await pool.peer(server, "carol")
        assert (await program.register([("expires", "0")])).status == 200
        await program.send(refer(program, CAROL))
        await desk.reply(await desk.request_in("REFER"), 202)
        assert (await program.final()).status == 202


@pytest.mark.parametrize("name", ["alice", "dialler"])
@on_loop
async def test_application_refers_a_phone(pool: Network, name: str) -> None:
    pool.let_application_speak()
    async with pool:
        carol, bot = await pool.phone("carol", FE2), await pool.peer(FE1, name, BOT)
        await bot.send(refer(bot, CAROL))
        await carol.reply(await carol.request_in("REFER"), 202)
        assert (await bot.final()).status == 202
