"""Prometheus reads running servers by the configuration of our pages, and answers each expression of dashboard and alerts."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from ruamel.yaml import YAML

from sipmesh.demo.ports import HOST, free_port
from support.checkout import ROOT
from support.managed import MGMT, Managed, servers_of
from support.network import FE1, POOL
from support.programs import ended
from support.running import LOOK_AGAIN_S, on_loop

pytestmark = [pytest.mark.peer("promtool"), pytest.mark.wide]
MONITORING = ROOT / "packaging/monitoring"
LATER = {
    "sipmesh_client_links_failed_total",
    "sipmesh_directory_not_synced",
    "sipmesh_messages_refused_total",
    "sipmesh_requests_limited_total",
    "sipmesh_rtpengine_away",
    "sipmesh_source_failing_seconds",
    "sipmesh_worker_starts_total",
    "sipmesh_workers",
}
"""Series that begin with the first refusal, a directory, CRLs by URL, rtpengine, or workers."""
YAML_BLOCK = re.compile(r"^```yaml\n(receivers:.*?)^```", re.MULTILINE | re.DOTALL)


def expressions() -> list[str]:
    """The expressions of the alerts and of the dashboard, whose variables have a value."""
    [group] = YAML(typ="safe", pure=True).load(MONITORING / "sipmesh.rules.yml")["groups"]
    panels = json.loads((MONITORING / "sipmesh-dashboard.json").read_text())["panels"]
    found = [str(rule["expr"]) for rule in group["rules"]]
    found += [target["expr"] for panel in panels for target in panel.get("targets", ())]
    return [re.sub(r"\$\w+", ".*", expression.replace("$__rate_interval", "1m")) for expression in found]


def scraping(*targets: str) -> dict[str, Any]:
    """The configuration of a collector, as docs/howto/call-records.md has it, with other *targets*."""
    [block] = YAML_BLOCK.findall((ROOT / "docs/howto/call-records.md").read_text())
    config: dict[str, Any] = YAML(typ="safe", pure=True).load(block)["receivers"]["prometheus"]["config"]
    [job] = config["scrape_configs"]
    job["scrape_interval"], job["static_configs"] = "1s", [{"targets": list(targets)}]
    return config


@asynccontextmanager
async def prometheus(folder: Path, config: dict[str, Any]) -> AsyncIterator[str]:
    """Run Prometheus; gives the URL of its API."""
    file, port = folder / "prometheus.yml", free_port()
    file.write_text(json.dumps(config))
    options = (f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={HOST}:{port}")
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        str(shutil.which("prometheus")), *options, stdout=quiet, stderr=quiet
    )
    try:
        yield f"http://{HOST}:{port}/api/v1/query"
    finally:
        process.terminate()
        await ended(process)


async def asked(api: str, expression: str) -> list[Any]:
    """Ask Prometheus; an expression that it cannot answer is an error."""
    async with aiohttp.ClientSession() as client, client.get(api, params={"query": expression}) as answer:
        told = await answer.json()
        assert told["status"] == "success", f"{expression}: {told}"
        return list(told["data"]["result"])


async def is_read(api: str, count: int, job: str = "sipmesh") -> bool:
    """Tell whether Prometheus runs, and has read *count* servers of a *job*."""
    try:
        return len(await asked(api, f'up{{job="{job}"}} == 1')) == count
    except aiohttp.ClientError:
        return False


@on_loop
async def test_prometheus_answers_each_expression_of_the_dashboard_and_the_alerts(
    managed: Managed, tmp_path: Path
) -> None:
    ports = {MGMT: free_port(), FE1: free_port()}

    def change(document: dict[str, Any]) -> None:
        for pool in (MGMT, POOL):
            for server in servers_of(document, pool):
                if server["name"] in ports:
                    server["metrics"] = ports[server["name"]]

    async with managed:
        await managed.start(MGMT)
        await managed.publish(change, force=True)
        await managed.stop(MGMT)
        await managed.start(MGMT, FE1)
        targets = [f"{HOST}:{port}" for port in ports.values()]
        async with prometheus(tmp_path, scraping(*targets)) as api:
            while not await is_read(api, len(targets)):
                await asyncio.sleep(LOOK_AGAIN_S)
            for expression in expressions():
                await asked(api, expression)
            names = {one["metric"]["__name__"] for one in await asked(api, '{__name__=~"sipmesh_.+"}')}
            used = {name for one in expressions() for name in re.findall(r"sipmesh_\w+", one)}
            assert used - names <= LATER
