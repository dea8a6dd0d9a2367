"""A pool with a backup pool."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Self

from sipmesh.demo.organisation import Organisation
from sipmesh.trust.evidence import LinkKind
from support.between import Between, reach_by
from support.network import POOL, POOL2, Network


def back(organisation: Organisation, pool: str = POOL, backup: str | None = POOL2, after_s: int | None = None) -> None:
    """Make *backup* the backup pool of *pool*, None for no backup pool, and write the topology."""
    pools = organisation.document["pools"]
    assert isinstance(pools, list)
    entry = next(one for one in pools if one["name"] == pool)
    given = {"backup_pool": backup, "takeover_after": after_s}
    entry |= {key: value for key, value in given.items() if value is not None}
    if backup is None:
        del entry["backup_pool"]
    organisation.write()


def pair(network: Network, pool: str = POOL, backup: str | None = POOL2) -> None:
    """Do so in the first organisation of a network."""
    back(network.organisations[0], pool, backup)


async def passed(seconds: int) -> None:
    """Let virtual time pass in small steps: a thread that works for the loop stops it for one of them at most."""
    for _ in range(10 * seconds):
        await asyncio.sleep(0.1)


class Divide:
    """What can cut all links between two servers that run, without a notification."""

    def __init__(self, network: Network, one: str, other: str) -> None:
        self._network, self._pair = network, (one, other)
        self._ways: dict[str, Between] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for opener, target in (self._pair, self._pair[::-1]):
            address = self._network.address(target, LinkKind.SERVER)
            self._ways[opener] = await self._stack.enter_async_context(Between(address))
            reach_by(self._network.nodes[opener], target, self._ways[opener])
        for link in self._network.nodes[self._pair[0]].pool.all():
            if link.kind is LinkKind.SERVER:
                link.close("the next one can be cut")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def stop(self) -> None:
        """Pass nothing on any more."""
        for between in self._ways.values():
            between.stop()

    def go_on(self) -> None:
        """Pass on everything again."""
        for between in self._ways.values():
            between.go_on()
