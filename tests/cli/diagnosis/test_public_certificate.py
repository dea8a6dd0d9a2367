"""What `explain` says of a certificate that a server gets by ACME."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from cli.world import sipmesh
from sipmesh.demo.forge import Forge
from sipmesh.demo.organisation import Organisation
from support.network import FE1
from support.public_ca import Site
from support.running import on_loop
from support.service import serving_here


@pytest.mark.parametrize("has_one", [True, False])
@on_loop
async def test_failed_order_is_explained_with_its_remedy(example: Organisation, has_one: bool) -> None:  # noqa: FBT001
    site, forge = Site(example), Forge(datetime.now(UTC) - timedelta(days=20))
    site.writes({"directory": "https://127.0.0.1:1/dir"})
    if has_one:
        site.wrote(forge.server(forge.root("a CA"), dns=(FE1,), ends=timedelta(days=25)))
    words = ("explain", str(site.file), "--topology", str(example.file))
    async with serving_here(example, site.told):
        await site.failed()
        told = await asyncio.to_thread(sipmesh, *words)
        read = await asyncio.to_thread(sipmesh, *words, "--json")
        stock = await asyncio.to_thread(sipmesh, "ca", "inventory", "--topology", str(example.file))
    assert (told.code, read.code) == (1, 1)
    assert "the CA cannot be reached" in told.out
    assert "remedy: check that this server reaches the directory" in told.out
    assert ("valid until" if has_one else "there is none yet") in told.out
    assert read.json["server"] == FE1
    assert "the CA cannot be reached" in read.json["renewal"]["why"]
    assert "the CA cannot be reached" in " ".join(stock.out.split())


def test_file_that_no_running_server_gets_is_an_error(example: Organisation) -> None:
    told = sipmesh("explain", f"servers/{FE1}.acme.pem", "--topology", str(example.file))
    assert told.code != 0
    assert "by ACME; start it" in " ".join(told.err.split())
