"""Certificates of signers are fetched outside of each decision, and what is no chain is none."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.server.proxy.trunks.signer_chains import SignerChains
from sipmesh.server.refresh.fetch_turns import FetchTurns
from sipmesh.server.refresh.http_fetch import HttpFetcher
from sipmesh.server.refresh.signer_sources import LARGEST, SignerSources
from sipmesh.topology.reachable_addresses import ReachableAddresses
from sipmesh.transport.resolver import DnsResolver
from support.number_signer import NumberSigner
from support.publisher import Publisher, content
from support.running import on_loop, until
from support.telling import Told

TRUNK = "sbc.test"
SIGNER = NumberSigner().signer()


@pytest.mark.parametrize(
    ("body", "arrives"), [(SIGNER.pem_chain, True), (b"nothing", False), (b"x" * (LARGEST + 1), False), (None, False)]
)
@on_loop
async def test_chain_at_a_url_arrives_and_anything_else_does_not(body: bytes | None, *, arrives: bool) -> None:
    told, chains = Told(), SignerChains(asyncio.get_running_loop().time)
    http = HttpFetcher(DnsResolver(), reachable=ReachableAddresses)
    async with Publisher() as publisher:
        if body is not None:
            publisher.pages["/a.pem"] = content(lambda: body)
        sources = SignerSources(chains, http, FetchTurns(), asyncio.get_running_loop(), told.log)
        url = publisher.url("/a.pem")
        assert chains.of(TRUNK, url) == ()
        await until(lambda: bool(chains.of(TRUNK, url)) or bool(told.lines))
        assert bool(chains.of(TRUNK, url)) is arrives
        assert [line["source"] for line in told.lines] == ([] if arrives else [url])
        await sources.close()
        await http.close()
