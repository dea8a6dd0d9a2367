"""Certificates of signers are fetched outside of each decision, and what is no chain is none."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sipmesh.server.in_force.stir_rules import StirRule
from sipmesh.server.proxy.trunks.signer_chains import SignerChains
from sipmesh.server.proxy.trunks.signer_lists import SignerLists
from sipmesh.server.refresh.fetch_turns import FetchTurns
from sipmesh.server.refresh.http_fetch import HttpFetcher
from sipmesh.server.refresh.signer_sources import LARGEST, SignerSources
from sipmesh.topology.document.parts.stir import StirMode
from sipmesh.topology.reachable_addresses import ReachableAddresses
from sipmesh.transport.resolver import DnsResolver
from support.number_signer import NumberSigner
from support.publisher import Publisher, content
from support.running import on_loop, until
from support.telling import Told

TRUNK = "sbc.test"
SIGNERS = NumberSigner()
SIGNER = SIGNERS.signer()


def sources_of(numbers: Any, http: HttpFetcher, told: Told) -> SignerSources:
    return SignerSources(numbers, http, FetchTurns(), asyncio.get_running_loop(), lambda: datetime.now(UTC), told.log)


def lists_of(*crls: str) -> SignerLists:
    given = StirRule(StirMode.REPORT, frozenset({"c.test"}), (SIGNERS.root.certificate,), crls=crls)
    current: Any = SimpleNamespace(value=SimpleNamespace(stir={TRUNK: given}))
    return SignerLists(current, asyncio.get_running_loop().time)


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
        sources = sources_of(SimpleNamespace(chains=chains, lists=lists_of()), http, told)
        url = publisher.url("/a.pem")
        assert chains.of(TRUNK, url) == ()
        await until(lambda: bool(chains.of(TRUNK, url)) or bool(told.lines))
        assert bool(chains.of(TRUNK, url)) is arrives
        assert [line["source"] for line in told.lines] == ([] if arrives else [url])
        await sources.close()
        await http.close()


@pytest.mark.parametrize("content_of", ["a CRL", "nothing", None])
@pytest.mark.parametrize("is_file", [True, False])
@on_loop
async def test_crl_in_a_file_or_at_a_url_is_read_and_a_fault_is_logged(
    tmp_path: Path, content_of: str | None, *, is_file: bool
) -> None:
    told, body = Told(), SIGNERS.forge.revocations(SIGNERS.root, ()) if content_of == "a CRL" else b"nothing"
    http = HttpFetcher(DnsResolver(), reachable=ReachableAddresses)
    async with Publisher() as publisher:
        place = str(tmp_path / "a.crl") if is_file else publisher.url("/a.crl")
        if content_of is not None:
            (tmp_path / "a.crl").write_bytes(body)
            publisher.pages["/a.crl"] = content(lambda: body)
        lists = lists_of(place)
        sources = sources_of(SimpleNamespace(chains=SignerChains(lambda: 0.0), lists=lists), http, told)
        held = lists._of_trunks
        await until(lambda: bool(told.lines) or bool(held and held[TRUNK]._held))
        assert [line["source"] for line in told.lines] == ([] if content_of == "a CRL" else [place])
        await sources.close()
        await http.close()
