"""Management's figures over the TLS of the console: a token or a certificate of an operator reads them, and no stranger."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from scenarios.test_monitoring import asked, is_read, prometheus
from sipmesh.demo.ports import HOST
from support.console import Visitor, management_with_console, operator_credentials
from support.managed import MGMT
from support.running import LOOK_AGAIN_S, on_loop


@on_loop
async def test_viewer_reads_the_figures_by_token_or_certificate_and_a_stranger_does_not(tmp_path: Path) -> None:
    async with management_with_console(tmp_path, client_certificates=True) as network:
        credentials = operator_credentials(network, "vera", tmp_path)
        other = operator_credentials(network, "eve", tmp_path)
        async with Visitor(network, "vera-token") as by_token, Visitor(network, "", credentials) as by_certificate:
            for visitor in (by_token, by_certificate):
                answer = await visitor.get("/metrics")
                assert answer.status == 200
                assert "sipmesh_topology_version 1.0" in answer.text
                assert answer.headers["Content-Type"].startswith("text/plain")
        async with Visitor(network) as stranger, Visitor(network, "wrong") as wrong, Visitor(network, "", other) as eve:
            for visitor in (stranger, wrong, eve):
                answer = await visitor.get("/metrics")
                assert answer.status == 401
                assert "sipmesh_" not in answer.text


@pytest.mark.wide
@on_loop
@pytest.mark.peer("promtool")
async def test_prometheus_reads_them_by_name_and_token_and_by_certificate(tmp_path: Path) -> None:
    """The wrong root, the wrong token and no token are not read: the same job with one property changed."""
    async with management_with_console(tmp_path, client_certificates=True) as network:
        console: Any = network.organisation.document["console"]
        chain, key = operator_credentials(network, "vera", tmp_path)
        tls = {"ca_file": str(network.organisation.root), "server_name": MGMT}
        token = {"authorization": {"credentials": "vera-token"}}
        jobs: dict[str, dict[str, Any]] = {
            "token": {"tls_config": tls, **token},
            "certificate": {"tls_config": {**tls, "cert_file": str(chain), "key_file": str(key)}},
            "other-name": {"tls_config": {**tls, "server_name": "evil.test"}, **token},
            "other-token": {"tls_config": tls, "authorization": {"credentials": "wrong"}},
            "none": {"tls_config": tls},
        }
        target = [{"targets": [console["listen"].replace(HOST, "127.0.0.1")]}]
        common: dict[str, Any] = {"scheme": "https", "scrape_interval": "1s", "static_configs": target}
        config = {"scrape_configs": [{"job_name": name, **common, **job} for name, job in jobs.items()]}
        async with prometheus(tmp_path, config) as api:
            while not await is_read(api, 1, "token") or len(await asked(api, "up")) < len(jobs):
                await asyncio.sleep(LOOK_AGAIN_S)
            while not await is_read(api, 1, "certificate"):
                await asyncio.sleep(LOOK_AGAIN_S)
            up = {one["metric"]["job"]: one["value"][1] for one in await asked(api, "up")}
    assert up == {"token": "1", "certificate": "1", "other-name": "0", "other-token": "0", "none": "0"}
