"""Fetching starts with the first topology that names a URL, and not before."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.proxy.siblings.channel import SUPERVISOR
from sipmesh.server.refresh import crl_sources
from sipmesh.server.refresh.on_demand import FetchOnDemand
from support.network import FE1, FE2, Network
from support.publisher import Publisher, content
from support.running import on_loop, until
from support.siblings import ONE, TWO, pair_of

CRLS = ("/root.crl", "/issuing.crl")


@on_loop
async def test_topology_without_a_url_starts_no_fetching(home: Network, example: Organisation) -> None:
    async with home:
        sources = FetchOnDemand(home.nodes[FE1], lambda _: None, home.told[FE1].log)
        sources.follow(example.load())
        assert sources.fetcher is None
        assert sources.supplies(datetime.now(UTC)) == ()
        await sources.close()


@on_loop
async def test_first_url_starts_fetching_and_the_end_stops_it(home: Network, example: Organisation) -> None:
    async with home, Publisher() as publisher:
        written = asyncio.Event()
        for path in CRLS:
            publisher.pages[path] = content((example.folder / "ca" / path[1:]).read_bytes)
        urls = [publisher.url(path) for path in CRLS]
        example.document["authority"] = {"anchors": ["ca/root.pem"], "crls": urls}
        example.write()
        sources = FetchOnDemand(home.nodes[FE1], lambda _: written.set(), home.told[FE1].log)
        loaded = example.load()
        sources.follow(loaded)
        fetcher = sources.fetcher
        assert fetcher is not None
        await written.wait()
        assert {status.source for status in sources.supplies(datetime.now(UTC))} == set(urls)
        sources.follow(loaded)
        assert sources.fetcher is fetcher
        await sources.close()


@on_loop
async def test_peer_that_a_worker_refuses_for_want_of_crls_has_the_supervisor_fetch_them(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the supervisor fetches, and no peer connects to it. It would wait for its next attempt."""
    monkeypatch.setattr(crl_sources, "FETCHED_AGAIN_S", 0.0)
    async with Publisher() as publisher:
        urls = [publisher.url(path) for path in CRLS]
        example.document["authority"] = {"anchors": ["ca/root.pem"], "crls": urls}
        example.write()
        async with pair_of(example) as pair:
            first, second = socket.socketpair()
            worker, supervisor = pair.nodes[ONE], pair.nodes[TWO]
            pair.reception(ONE).join(SUPERVISOR, "s", first)
            pair.reception(TWO).join(ONE, worker.branch_prefix, second)
            here = FetchOnDemand(worker, lambda _: None, pair.told[ONE].log, fetches_crls=False)
            there = FetchOnDemand(supervisor, lambda _: None, pair.told[TWO].log)
            for sources, node in ((here, worker), (there, supervisor)):
                node.outside.sources = sources
                sources.follow(node.view.loaded)
                pair.stack.push_async_callback(sources.close)
            assert there.fetcher is not None
            await asyncio.gather(*map(there.fetcher.poke, urls))
            publisher.asked.clear()
            for path in CRLS:
                publisher.pages[path] = content((example.folder / "ca" / path[1:]).read_bytes)
            await (await pair.peer(FE2, ONE, FE2)).hung_up()
            await until(lambda: set(publisher.asked) == {f"GET {path}" for path in CRLS})
