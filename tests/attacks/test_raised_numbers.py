"""A stolen signer, or who has the management host, uses the last numbers: servers refuse them, and follow management on.

The links are real. The signer is that of management: its signature is valid, and it is not revoked.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.database.number_ceilings import FENCING_NUMBERS, USERS_NUMBERS, VERSIONS
from sipmesh.distribution.items import Item, ItemKind
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.server.replication.stored_users import USERS
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.user_document import UserDocument
from support.giver import Giver
from support.managed import MGMT, Managed
from support.network import EDGE, EXAMPLE, FE1, POOL
from support.running import on_loop

LAST = 2**53 - 1


@pytest.mark.parametrize("server", [FE1, EDGE])
@on_loop
async def test_last_numbers_are_refused_and_those_after_the_ceiling_are_accepted(managed: Managed, server: str) -> None:
    """An attacker who has used the highest numbers that count has left the next numbers to management."""
    async with managed:
        await managed.start(server)
        giver = await Giver.meet(managed._stack, managed, server, FE1 if server == EDGE else MGMT)
        assert (await giver.topology(managed.version(LAST))).status == 488
        assert (await giver.topology(managed.signed(managed.payload(2), fencing=LAST))).status == 488
        assert (managed.number(server), managed.holding(server).fencing) == (1, 0)
        now = datetime.now(UTC)
        top, fencing = VERSIONS.at(now), FENCING_NUMBERS.at(now)
        for step in (0, 1, 2):
            signed = managed.signed(managed.payload(top + step), fencing=fencing + step)
            assert (await giver.topology(signed)).status == 200
        await managed.in_force(top + 2, server)


def users(managed: Managed, number: int) -> Item:
    """All users of the pool, of whom there is one."""
    verifier = Verifier(f"sip:alice@{EXAMPLE}", 1, {Algorithm.MD5: "ab" * 16})
    document = UserDocument("example.test", POOL, number, verifiers={verifier.aor: verifier})
    return Item(ItemKind.USERS, managed.signed(document.encode(), kind=USERS), "0", number)


@on_loop
async def test_last_number_of_the_users_is_refused_and_that_after_the_ceiling_is_accepted(managed: Managed) -> None:
    async with managed:
        await managed.start(FE1)
        giver = await Giver.meet(managed._stack, managed, FE1)
        for number in (LAST, 2**63):
            assert (await giver.give(users(managed, number))).status == 488
        top = USERS_NUMBERS.at(datetime.now(UTC))
        for number in (top, top + 1):
            assert (await giver.give(users(managed, number))).status == 200
        assert managed.nodes[FE1].user_updates.number == top + 1
