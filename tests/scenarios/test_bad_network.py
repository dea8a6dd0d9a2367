"""Two front ends and their store on three networks that lose segments and are slow: what users see.

`-s` prints the table.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scenarios.test_valkey_faults import Bed, through
from sipmesh.demo.organisation import Organisation
from sipmesh.trust.evidence import LinkKind
from support.bad_network import BadNetwork
from support.between import reach_by
from support.network import FE1, FE2
from support.running import within
from support.two_hosts import TwoHosts
from support.valkey_server import ValkeyServer

pytestmark = [pytest.mark.peer("valkey"), pytest.mark.soak]
DELAY_S, LOSS = 0.2, 0.05
TIMES = 20
PATIENCE_S = 600
TRUE = {200, 503}
"""What may be answered about a user who is registered: that the message has arrived, or to try again."""


@dataclass
class Told:
    """The answers to one kind of request: how many of each status, and how long they took."""

    statuses: Counter[int] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)

    def add(self, status: int, began: float) -> int:
        """Count an answer to a request that was sent at *began*."""
        self.statuses[status] += 1
        self.took_s.append(time.monotonic() - began)
        return status

    def __str__(self) -> str:
        counts = ", ".join(f"{count} of {status}" for status, count in sorted(self.statuses.items()))
        return f"{counts} | {statistics.median(self.took_s):.1f} | {max(self.took_s):.1f}"


@asynccontextmanager
async def on_bad_networks(
    organisation: Organisation, folder: Path, store: ValkeyServer
) -> AsyncIterator[tuple[TwoHosts, list[BadNetwork]]]:
    """Run both front ends, with a network between each of them and the store, and one for the links that each opens."""
    network = TwoHosts.of_pool(organisation, folder, store)
    async with AsyncExitStack() as stack:
        ways = [await stack.enter_async_context(BadNetwork(("127.0.0.1", store.port), seed)) for seed in (1, 2)]
        for host, way in enumerate(ways):
            through(network, host, way)
        await stack.enter_async_context(network)
        for seed, opener, target in ((3, FE1, FE2), (4, FE2, FE1)):
            way = await stack.enter_async_context(BadNetwork(network.address(target, LinkKind.SERVER), seed))
            reach_by(network.nodes[opener], target, way)
            ways.append(way)
        yield network, ways


def become(ways: list[BadNetwork], delay_s: float, loss: float) -> None:
    """Make all networks as bad as that."""
    for way in ways:
        way.delay_s, way.loss = delay_s, loss


def open_anew(network: TwoHosts) -> None:
    """Close the links between the servers, so that the next links are on the bad network."""
    links = [link for node in network.nodes.values() for link in node.pool.all() if link.kind is LinkKind.SERVER]
    for link in links:
        link.close("the next one is on the bad network")


async def told_of(bed: Bed, user: str, messages: Told, logins: Told) -> None:
    """Send a message to the other server, and let a new user register."""
    began = time.monotonic()
    messages.add(await bed.reach("alice", "carol"), began)
    phone = await bed.network.peer(FE1, user)
    began = time.monotonic()
    if logins.add((await phone.register()).status, began) == 200:
        bed.phones[user] = phone


@within(PATIENCE_S)
async def test_bad_network_loses_nothing_that_was_acknowledged(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    """Each link between the two front ends, and each to the store: 5 % loss, 200 ms each way."""
    users = [f"user{number}" for number in range(TIMES)]
    example.add_users(*users)
    messages, logins = Told(), Told()
    async with on_bad_networks(example, tmp_path, valkey) as (network, ways):
        bed = await Bed(network).begun()
        become(ways, DELAY_S, LOSS)
        open_anew(network)
        for user in users:
            await told_of(bed, user, messages, logins)
        print(f"\nmessage to a user at the other | {messages}\nnew registration | {logins}")  # noqa: T201
        assert set(messages.statuses) | set(logins.statuses) <= TRUE
        assert messages.statuses[200] > 0
        become(ways, 0.0, 0.0)
        await network.connected()
        for user in bed.phones.keys() & set(users):
            assert await bed.reach("carol", user) == 200
