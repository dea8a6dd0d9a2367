"""What a stolen front end cannot do with the documents that it passes to an edge: fill its memory."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.server.agent.document_applier import MOST_OF_GIVER
from sipmesh.server.process.off_loop import LARGE, off_loop
from sipmesh.server.replication.stored_users import USERS
from sipmesh.storage.users.user_document import UserDocument
from support.giver import Giver
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2, POOL
from support.running import on_loop

MUCH = 1_000_000


@on_loop
async def test_edge_keeps_no_certificates_of_other_servers(managed: Managed) -> None:
    """It would keep each of them to pass it on, under any name. A front end keeps those of the edges behind it."""
    async with managed, AsyncExitStack() as stack:
        await managed.start(EDGE, FE1)
        thief = await Giver.meet(stack, managed, EDGE, FE1)
        for name in (FE1, "x1.test", "x2.test"):
            assert (await thief.give(Item(ItemKind.CERTIFICATE, b"x" * MUCH, name))).status == 488
        assert managed.member(EDGE).held.certificates_of_edges == {}
        management = await Giver.meet(stack, managed, FE1, MGMT)
        assert (await management.give(Item(ItemKind.CERTIFICATE, b"x", "x1.test"))).status == 488
        assert (await management.give(Item(ItemKind.CERTIFICATE, b"x", EDGE))).status == 200
        assert [*managed.member(FE1).held.certificates_of_edges] == [EDGE]


@on_loop
async def test_edge_lets_few_large_versions_of_a_front_end_wait(managed: Managed) -> None:
    """A thread reads each of them. A front end can send more than it reads; other front ends have places of their own."""
    reads = threading.Event()
    async with managed, AsyncExitStack() as stack:
        await managed.start(EDGE)
        thief, rightful = [await Giver.meet(stack, managed, EDGE, name) for name in (FE1, FE2)]
        stack.callback(reads.set)
        busy = asyncio.create_task(off_loop(reads.wait))
        versions = [managed.signed(b"%d" % number + b" " * LARGE, managed.credentials(FE1)) for number in range(6)]
        assert [(await thief.topology(version)).status for version in versions] == [200] * (1 + MOST_OF_GIVER) + [488]
        assert (await rightful.topology(managed.version(2))).status == 200
        reads.set()
        await busy
        await managed.in_force(2, EDGE)


@on_loop
async def test_edge_takes_no_users(managed: Managed) -> None:
    """It has none, and would keep each part of them."""
    async with managed, AsyncExitStack() as stack:
        await managed.start(EDGE)
        thief = await Giver.meet(stack, managed, EDGE, FE1)
        users = UserDocument(managed.organisation.domain, POOL, 3, part=1, parts=2)
        item = Item(ItemKind.USERS, managed.signed(users.encode(), kind=USERS), "0", 3)
        assert (await thief.give(item)).status == 488


@on_loop
async def test_version_is_read_only_if_management_has_signed_it(managed: Managed) -> None:
    """A server can sign 5 MB of JSON, which takes half a second to read. Its signer is refused before that."""
    async with managed, AsyncExitStack() as stack:
        await managed.start(EDGE)
        thief = await Giver.meet(stack, managed, EDGE, FE1)
        for shown, why in ((managed.credentials(FE1), "is not trusted"), (None, "it is not a publication")):
            assert (await thief.topology(managed.signed(b"{}", shown))).status == 488
            assert why in managed.told[EDGE].last("document rejected: the old version stays in force")["why"]
