"""Servers that die, in real processes: a peer that waits gets an answer at once, and nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import signal
from itertools import count

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.storage.location_service.bindings import BindingStore
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.view import view
from sipmesh.trust.evidence import LinkKind
from support.bindings import bound
from support.network import FE1, FE2, Network
from support.peer import Peer
from support.process import Process, serving
from support.running import on_loop
from support.tiers import wide_after

AT_ONCE_S = 5.0
"""A transaction without an end takes 32 s (RFC 3261 timers B and F); a lost link is known in milliseconds."""


@pytest.mark.parametrize("method", wide_after(1, ["INVITE", "MESSAGE", "OPTIONS"]))
@on_loop
@pytest.mark.wide
async def test_request_that_waits_behind_a_killed_server_is_answered_at_once(
    example: Organisation, method: str
) -> None:
    async with Network((example,), starts=(FE1,)) as network, serving(example, FE2) as other:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE2)
        await alice.send(alice.request(method, "sip:bob@example.test"))
        await bob.request_in(method)
        await other.end(signal.SIGKILL)
        async with asyncio.timeout(AT_ONCE_S):
            assert (await alice.final()).status == (202 if method == "MESSAGE" else 480)  # 202: it is stored


@on_loop
async def test_call_that_rings_behind_a_killed_server_and_elsewhere_goes_on_elsewhere(example: Organisation) -> None:
    async with Network((example,), starts=(FE1,)) as network, serving(example, FE2) as other:
        alice = await network.phone("alice", FE1)
        there, here = await network.phone("bob", FE2), await network.phone("bob", FE1)
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        await there.reply(await there.request_in("INVITE"), 180)
        rings = await here.request_in("INVITE")
        await other.end(signal.SIGKILL)
        await here.reply(rings, 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_bye_towards_a_killed_server_is_answered_at_once(example: Organisation) -> None:
    """A phone that hangs up must not have to wait for a callee who is gone."""
    async with Network((example,), starts=(FE1,)) as network, serving(example, FE2) as other:
        alice = await network.agent("alice", FE1)
        await network.agent("bob", FE2)
        made = await alice.call("bob@example.test")
        assert (await made.answered()).ok
        await other.end(signal.SIGKILL)
        async with asyncio.timeout(AT_ONCE_S):
            ended = await made.hang_up()
        assert ended is not None
        assert ended.status == 503


@on_loop
async def test_client_of_a_killed_server_sees_its_link_end(example: Organisation) -> None:
    async with Network((example,), starts=(FE1,)) as network, serving(example, FE2) as other:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE2)
        await other.end(signal.SIGKILL)
        await bob.hung_up()
        assert (await alice.ask(alice.request("OPTIONS", "sip:example.test"))).status == 200


@pytest.mark.parametrize("number", wide_after(1, [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
@on_loop
@pytest.mark.wide
async def test_server_starts_again_at_once_where_it_was(example: Organisation, number: signal.Signals) -> None:
    """Its ports are free for it, and a socket that kill -9 left behind is no obstacle."""
    async with Network((example,)) as network:
        for _ in range(2):
            async with serving(example, FE1) as server:
                assert (await (await network.peer(FE1, "alice")).register()).status == 200
                assert await server.end(number) == (0 if number != signal.SIGKILL else -signal.SIGKILL)
            for kind in (LinkKind.CLIENT, LinkKind.SERVER):
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection(*network.address(FE1, kind))


@on_loop
async def test_stopped_server_unregisters_its_users_and_they_return_elsewhere(example: Organisation) -> None:
    async with Network((example,), starts=(FE1,)) as network, serving(example, FE2) as other:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE2)
        assert await other.end(signal.SIGTERM) == 0
        await bob.hung_up()
        assert not await bound(network.nodes[FE1], "sip:bob@example.test")
        back = await network.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await back.reply(await back.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200


@on_loop
@pytest.mark.wide
async def test_kill_9_among_registrations_loses_none_that_was_acknowledged(example: Organisation) -> None:
    """Every 200 that a phone has seen is in the store, and the store opens again for the next start."""
    async with Network((example,)) as network:
        async with serving(example, FE1) as server:
            phones = [await network.phone(name, FE1) for name in ("alice", "bob", "carol")]
            acknowledged = await registering_until_killed(server, phones)
        store = BindingStore(view(example.load(), FE1).bindings_file)
        for phone, instance in zip(phones, acknowledged, strict=True):
            [stored] = store.find([f"sip:{phone.user}"], FE2, 1)
            held = {row.instance for row in stored.rows}
            assert {f"<urn:x:{number}>" for number in range(1, instance + 1)} <= {
                (one or "").strip('"') for one in held
            }
        store.close()
        async with serving(example, FE1):
            assert (await (await network.peer(FE1, "alice")).register()).status == 200


@on_loop
@pytest.mark.wide
async def test_kill_9_while_users_are_added_loses_none_that_was_acknowledged(example: Organisation) -> None:
    """The server reads what the command line writes; its death spoils nothing for either."""
    async with Network((example,)) as network:
        users = Users(example.load().users_url)
        async with serving(example, FE1) as server:
            for number in range(10):
                users.add(f"u{number}@example.test", f"u{number}-secret")
                if number == 5:
                    await server.end(signal.SIGKILL)
        users.close()
        async with serving(example, FE1):
            for number in (0, 5, 9):
                assert (await (await network.peer(FE1, f"u{number}")).register()).status == 200


async def registering_until_killed(server: Process, phones: list[Peer]) -> list[int]:
    """Register instance after instance on each phone and kill the server meanwhile; gives how many were acknowledged."""
    acknowledged = [0] * len(phones)

    async def register(at: int) -> None:
        phone, contact = phones[at], phones[at].contact
        for number in count(1):
            phone.contact = f'{contact};+sip.instance="<urn:x:{number}>"'
            who = f"<sip:{phone.user}>"
            if (await phone.ask(phone.request("REGISTER", "sip:example.test", to=who))).status != 200:
                return
            acknowledged[at] = number
            if sum(acknowledged) == 12:
                server.started.send_signal(signal.SIGKILL)

    await asyncio.gather(*(register(at) for at in range(len(phones))), return_exceptions=True)
    await server.started.waited()
    return acknowledged
