"""Fetching starts with the first topology that names a URL, and not before."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from sipmesh.demo.organisation import Organisation
from sipmesh.server.refresh.on_demand import FetchOnDemand
from support.network import FE1, Network
from support.publisher import Publisher, content
from support.running import on_loop

CRLS = ("/root.crl", "/issuing.crl")


@on_loop
async def test_topology_without_a_url_starts_no_fetching(home: Network, example: Organisation) -> None:
    async with home:
        sources = FetchOnDemand(home.nodes[FE1], lambda _: None, home.told[FE1].log)
        sources.follow(example.load())
        assert sources.fetcher is None
        assert sources.supplies(datetime.now(UTC)) == ()
        assert repr(sources) == "<FetchOnDemand by None>"
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
