"""The figures of a server that runs, read over HTTP as monitoring reads them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import free_port
from sipmesh.server.admin.metrics.figures import Workers
from sipmesh.server.admin.metrics.page import MetricsPage
from sipmesh.server.admin.replies import WorkerReply, WorkerState
from support.network import FE1, Network

MINUTE = timedelta(minutes=1)
LOOK_AGAIN_S = 0.25
"""The page is a second old at most, and an address that asks 600 times a minute gets 429."""

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def ask_for_figures(example: Organisation, server: str = FE1) -> int:
    """Give a server a port for its figures; returns it."""
    port = free_port()
    for pool in example.document["pools"]:  # type: ignore[attr-defined]  # it is what build_example wrote
        for one in pool["servers"]:
            if one["name"] == server:
                one["metrics"] = port
    example.write()
    return port


class OneWorker:
    """The workers of a server that has one, in a *state*. Implements `page.Workers`."""

    state = WorkerState.SERVING

    async def ask_all(self, command: str, **given: Any) -> Mapping[int, Any]:
        """Have no answer."""
        del command, given
        return {}

    def workers(self) -> Sequence[WorkerReply]:
        """Return the worker."""
        return [WorkerReply(1, 11, 1.0, 0, 1, self.state)]


@asynccontextmanager
async def page_of(network: Network, server: str = FE1, workers: Workers | None = None) -> AsyncIterator[None]:
    page = MetricsPage(network.nodes[server], workers, fresh_s=0)
    await page.open()
    try:
        yield
    finally:
        await page.close()


async def get(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as flow, flow.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def figures(port: int) -> Figures:
    status, text = await get(port, "/metrics")
    assert status == 200
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


async def figures_with(port: int, holds: Callable[[Figures], bool]) -> Figures:
    """Wait until *holds* is true of the figures; returns all of them."""
    while not holds(found := await figures(port)):
        await asyncio.sleep(LOOK_AGAIN_S)
    return found


def labelled(name: str, /, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())
