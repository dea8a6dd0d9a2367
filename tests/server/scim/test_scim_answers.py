"""The conformity tester and the client of python-scim, run against management over real HTTPS."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import ScimProvider
from scim2_tester import CheckResult, Status, check_server

from support.managed import MGMT, Managed
from support.running import within
from support.scim import TOKEN, scim_network

LONG_S = 300.0


class _ToManagement(httpx2.HTTPTransport):
    """Connects to the address of the test, and asks for the name of management."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.extensions["sni_hostname"] = MGMT
        request.url = request.url.copy_with(host="127.0.0.1")
        return super().handle_request(request)


def client_of(network: Managed) -> httpx2.Client:
    """A client with the token, which trusts the enterprise CA."""
    console: Any = network.organisation.document["console"]
    port = str(console["listen"]).rpartition(":")[2]
    transport = _ToManagement(verify=ssl.create_default_context(cafile=str(network.organisation.root)))
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": f"{MGMT}:{port}"}
    return httpx2.Client(
        base_url=f"https://{MGMT}:{port}/scim/v2", headers=headers, transport=transport, timeout=LONG_S
    )


def _notes(result: CheckResult) -> str:
    """What the client says besides of a fault."""
    error = result.data.get("error") if isinstance(result.data, dict) else None
    return "; ".join(getattr(error, "__notes__", ()))


@pytest.mark.soak  # some hundred requests, one after the other
@pytest.mark.timeout(LONG_S)
@within(LONG_S)
async def test_conformity_tester_finds_no_fault(tmp_path: Path) -> None:
    async with scim_network(tmp_path, most_loss=100) as network:

        def check() -> list[str]:
            with client_of(network) as http:
                results = check_server(SyncSCIMClient(http, provider=ScimProvider()))
            assert sum(one.status is Status.SUCCESS for one in results) > 30
            return [f"{one} {_notes(one)}" for one in results if one.status not in {Status.SUCCESS, Status.SKIPPED}]

        assert await asyncio.to_thread(check) == []
