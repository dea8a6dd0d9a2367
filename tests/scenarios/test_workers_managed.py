"""Servers of two workers in a network with management, and an edge of two workers between two organisations."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.trust.evidence import LinkKind
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2, PARTNER_FE, Network, ringing, text
from support.process import serving
from support.running import LOOK_AGAIN_S, on_loop, until
from support.workers import give_workers

pytestmark = pytest.mark.soak  # each test starts a network and four interpreters

MEMBERS = (FE1, EDGE)


def with_workers(document: dict[str, Any]) -> None:
    """Give the first front end and the edge two workers."""
    for pool in document["pools"]:
        for server in pool["servers"]:
            if server["name"] in MEMBERS:
                server["workers"] = 2


def blocked(document: dict[str, Any]) -> None:
    document["federation"] = {"route": "sip.example.test", "blocked": ["evil.test"]}


async def started(managed: Managed) -> None:
    """Publish the version with workers, and start the servers with it."""
    await managed.start(MGMT)
    await managed.publish(with_workers)
    await managed.start(*MEMBERS)
    await managed.acknowledged(2)


async def workers(managed: Managed, server: str) -> list[dict[str, Any]]:
    return list((await managed.ask(server, "status"))["workers"])


@on_loop
async def test_version_counts_as_in_force_once_every_worker_has_it(managed: Managed) -> None:
    """A stopped worker keeps the server from saying so, until it was killed and replaced."""
    async with managed:
        await started(managed)
        [_, second] = await workers(managed, FE1)
        os.kill(second["pid"], signal.SIGSTOP)
        await managed.publish(blocked, why="evil.test is evil")
        await until(lambda: managed.number(FE1) == 3)
        assert FE1 not in managed.master.reports.servers_with(3)
        await managed.acknowledged(3)
        while [one["starts"] for one in await workers(managed, FE1)] != [1, 2]:
            await asyncio.sleep(LOOK_AGAIN_S)


@on_loop
async def test_servers_of_several_workers_probe_their_links(managed: Managed) -> None:
    async with managed:
        await started(managed)
        replies = await managed.ask(MGMT, "probe", links={FE1: [EDGE, FE2], EDGE: [FE1]})
        found = {(reply["server"], reply["target"]): reply["passed"] for reply in replies}
        assert found == {(FE1, EDGE): True, (FE1, FE2): False, (EDGE, FE1): True}, replies


@on_loop
async def test_new_password_and_pushed_revocation_close_links_at_every_worker(managed: Managed) -> None:
    """Other users and other servers keep theirs."""
    async with managed:
        await started(managed)
        phones = [await managed.phone(FE1, "alice") for _ in range(6)]
        peers = [await managed.peer(FE1, FE2) for _ in range(6)]
        bob, edge = await managed.phone(FE1, "bob"), await managed.peer(FE1, EDGE)
        for phone in (*phones, bob):
            phone.contact = phones[0].contact  # a user has ten Contacts at most
            assert (await phone.register()).status == 200
        for peer in (*peers, edge):
            await peer.ask(peer.request("OPTIONS", "sip:example.test"))
        await managed.type("user", "password", "alice", "--password-stdin", typed="another-one\n")
        serial = next(one.serial for one in managed.organisation.ca.certificates if one.names[0] == FE2)
        await managed.type("ca", "revoke", "--serial", f"{serial:x}")
        async with asyncio.timeout(10):
            for peer in (*phones, *peers):
                await peer.hung_up()
        for peer in (bob, edge):
            await peer.ask(peer.request("OPTIONS", "sip:example.test"))


@on_loop
async def test_calls_and_messages_cross_an_edge_of_two_workers(example: Organisation, federation: Network) -> None:
    give_workers(example, EDGE)
    federation.starts = tuple(name for name in federation.starts if name != EDGE)
    async with federation, serving(example, EDGE) as edge:
        alice, erin = await federation.agent("alice", FE1), await federation.agent("erin", PARTNER_FE)
        for sender, receiver in ((alice, erin), (erin, alice)):
            for _ in range(2):
                assert (await sender.message(receiver.party.aor, "hello")).ok
                await text(receiver)
            made = await sender.call(receiver.party.aor)
            came = await ringing(receiver)
            assert (await came.hang_up()) is not None
            assert made is not None
        links = await edge.ask("links")
        assert {link["kind"] for link in links} >= {str(LinkKind.SERVER), str(LinkKind.PARTNER)}
