"""A server fetches once each CRL that it needs by URL, says what is wrong with it, and stores nothing."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST
from sipmesh.server.refresh import crl_check
from sipmesh.server.refresh.crl_check import CrlUrl, crl_faults, fetched_crls
from sipmesh.topology.document.named_files.crl_files import FETCHED
from sipmesh.topology.reachable_addresses import ReachableAddresses
from sipmesh.topology.view import view
from sipmesh.transport.resolver import NoResolver
from support.network import EDGE, FE1, PARTNER, copied, federate
from support.publisher import Publisher, content
from support.running import on_loop

LISTS = ("/root.crl", "/issuing.crl")


@on_loop
async def test_edge_fetches_those_of_partners_and_a_front_end_only_our_own(
    example: Organisation, partner_model: Organisation, tmp_path: Path
) -> None:
    partner, now = copied(partner_model, tmp_path / "p"), datetime.now(UTC)
    async with Publisher() as publisher:
        publisher.pages["/root.crl"] = content((partner.folder / "ca/root.crl").read_bytes)
        good, gone = (publisher.url(path) for path in LISTS)
        federate(example, partner, crls=[good, gone])
        loaded = example.load()
        seen = await fetched_crls(view(loaded, EDGE), NoResolver(), now)
        assert [(one.url, one.owner, one.fault) for one in seen] == [
            (good, PARTNER, ""),
            (gone, PARTNER, "answers 404"),
        ]
        asked = len(publisher.asked)
        assert await fetched_crls(view(loaded, FE1), NoResolver(), now) == ()
        assert len(publisher.asked) == asked
    assert not list((example.folder / FETCHED).glob("*"))


@on_loop
async def test_publisher_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crl_check, "LONGEST_S", 0.05)
    with socket.create_server((HOST, 0)) as silent:
        url = f"http://{HOST}:{silent.getsockname()[1]}/root.crl"
        [fault] = await crl_faults([CrlUrl(url, "", ())], NoResolver(), datetime.now(UTC), ReachableAddresses())
    assert fault == "not fetched within 0.05 s"


@on_loop
async def test_only_a_few_are_fetched_at_the_same_time() -> None:
    """Each may bring a large CRL."""
    now, most = 0, 0

    async def counted(_request: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return web.Response(status=404)

    async with Publisher() as publisher:
        urls = [publisher.url(f"/{number}.crl") for number in range(20)]
        publisher.pages |= {f"/{number}.crl": counted for number in range(20)}
        faults = await crl_faults(
            [CrlUrl(url, "", ()) for url in urls], NoResolver(), datetime.now(UTC), ReachableAddresses()
        )
    assert faults == ["answers 404"] * 20
    assert most <= crl_check.MOST_AT_ONCE
