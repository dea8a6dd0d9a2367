"""A front end of two workers, whose users log in by access tokens: a token counts on one link of both processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sipmesh.server.running.worker_place import LINKS_OF_A_START
from support.managed import MGMT, Managed, build_managed
from support.network import FE1
from support.openid_provider import OpenIdProvider
from support.peer import Peer
from support.running import LOOK_AGAIN_S, on_loop
from support.workers import MOST_TRIES, give_workers

pytestmark = pytest.mark.wide  # each test starts a network and three interpreters
ALICE = "alice@example.test"


@asynccontextmanager
async def two_workers_with_tokens(tmp_path: Path) -> AsyncIterator[tuple[Managed, OpenIdProvider]]:
    """Management and a front end of two workers, whose users log in by tokens of a provider."""
    organisation = build_managed(tmp_path / "o")
    async with OpenIdProvider(organisation.folder / "ca", tmp_path) as provider:
        organisation.document["oauth"] = provider.oauth()
        give_workers(organisation)
        async with Managed(organisation, tmp_path) as network:
            await network.start(MGMT, FE1)
            await network.acknowledged(1, FE1)
            yield network, provider


async def worker_of(network: Managed, phone: Peer) -> int:
    """Tell at which start of a worker the link of *phone* is."""
    remote = f"{phone.address[0]}:{phone.address[1]}"
    while not (found := [one for one in await network.ask(FE1, "links") if one["remote"] == remote]):
        await asyncio.sleep(LOOK_AGAIN_S)
    return int(found[0]["id"][1:]) // LINKS_OF_A_START


async def phone_at(network: Managed, worker: int) -> Peer:
    """A phone that the kernel has given to *worker*."""
    for _ in range(MOST_TRIES):
        phone = await network.phone(FE1, "alice")
        if await worker_of(network, phone) == worker:
            return phone
    raise AssertionError(f"no connection came to worker {worker}")


@on_loop
async def test_token_that_has_logged_in_at_one_worker_counts_at_no_other(tmp_path: Path) -> None:
    async with two_workers_with_tokens(tmp_path) as (network, provider):
        token, phone, thief = provider.access_token(ALICE), *[await phone_at(network, worker) for worker in (1, 2)]
        assert (await phone.register_by(token)).status == 200
        assert (await thief.register_by(token)).status == 401
        assert (await thief.register_by(provider.access_token(ALICE))).status == 200
        assert (await phone.register_by(token)).status == 200


@on_loop
async def test_disabled_user_leaves_both_workers_with_each_token(tmp_path: Path) -> None:
    async with two_workers_with_tokens(tmp_path) as (network, provider):
        phones = [await phone_at(network, worker) for worker in (1, 2)]
        for phone in phones:
            assert (await phone.register_by(provider.access_token(ALICE))).status == 200
        bob = await network.phone(FE1, "bob")
        assert (await bob.register_by(provider.access_token("bob@example.test"))).status == 200
        await network.type("user", "disable", "alice")
        for phone in phones:
            await phone.hung_up()
        assert (await (await phone_at(network, 1)).register_by(provider.access_token(ALICE))).status == 401
        assert (await bob.register_by(provider.access_token("bob@example.test"))).status == 200
