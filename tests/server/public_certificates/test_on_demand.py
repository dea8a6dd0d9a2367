"""Nothing is imported and nothing is ordered before the topology says so; a missing library is a fault with its remedy."""

from __future__ import annotations

import sys

import pytest

from sipmesh.demo.organisation import Organisation
from support.public_ca import FAILED, Site, renewal_of
from support.running import on_loop
from support.service import serving_here

MODULE = "sipmesh.server.public_certificates.public_certificate"


@on_loop
async def test_missing_library_is_a_fault_and_the_server_goes_on(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("sipmesh.server.public_certificates.")]:
        if not name.endswith("on_demand"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "acme", None)
    site = Site(example)
    site.writes({"directory": "https://127.0.0.1:1/dir"})
    async with serving_here(example, site.told) as node:
        assert await site.failed() == "the library acme is not installed"
        assert 'pip install "acme>=5.9" "josepy>=2"' in renewal_of(node)
    assert len(list(site.told.events(FAILED))) == 1


@on_loop
async def test_server_without_an_order_imports_nothing_of_it(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    site = Site(example)
    async with serving_here(example, site.told) as node:
        assert node.view.acme_order is None
    assert MODULE not in sys.modules
