"""What the tests with real phones share: a loop, and the two organisations of the demo, which run once for each module."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from interop.phones import started

if TYPE_CHECKING:
    from sipmesh.demo.network import DemoNetwork


@pytest.fixture(name="runner", scope="module")
def _runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(name="network", scope="module")
def _network(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[DemoNetwork]:
    """The demo's two organisations, with users whose phones know no digest but MD5."""
    network = runner.run(started(tmp_path_factory.mktemp("n")))  # short: sockets lie in it
    yield network
    runner.run(network.stop())
