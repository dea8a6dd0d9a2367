"""The page of the metrics, and whether a server says that it is healthy."""

from __future__ import annotations

import asyncio
import math
import socket
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.admin.metrics import page as page_module
from sipmesh.server.admin.metrics.page import MetricsPage
from sipmesh.server.admin.replies import WorkerState
from sipmesh.server.process import http_port, request_rate
from sipmesh.server.service import Service
from sipmesh.topology.view import certificate_names
from sipmesh.trust.role import Role
from support.figures import MINUTE, OneWorker, ask_for_figures, figures, get, labelled, page_of
from support.network import FE1, Network
from support.running import on_loop
from support.service import serving_here
from support.telling import Told


@pytest.mark.parametrize(("ended", "status"), [(False, 200), (True, 503)])
@on_loop
async def test_health_says_whether_others_can_rely_on_the_server(home: Network, status: int, *, ended: bool) -> None:
    example = home.organisations[0]
    port = ask_for_figures(example)
    names = certificate_names(example.load().topology, FE1)
    at = datetime.now(UTC) - (4 * MINUTE if ended else 0 * MINUTE)
    issued = example.ca.issue(names, Role.FRONT_END, at, MINUTE if ended else timedelta(days=30))
    issued.write(example.folder / "servers" / f"{FE1}.pem", example.folder / "servers" / f"{FE1}.key")
    async with home, page_of(home):
        found, text = await get(port, "/health")
        assert found == status
        assert (f"the certificate of {FE1} expired" in text) is ended


@on_loop
async def test_service_shows_them_where_the_topology_says_and_takes_the_port_away_with_it(
    example: Organisation,
) -> None:
    port = ask_for_figures(example)
    async with serving_here(example, Told()):
        assert (await get(port, "/health"))[0] == 200
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(port, "/health")


@on_loop
async def test_without_the_setting_there_is_nothing_to_open(home: Network) -> None:
    async with home:
        with pytest.raises(OperatorError, match=f"{FE1} has no `metrics`"):
            await MetricsPage(home.nodes[FE1]).open()


@on_loop
async def test_port_that_is_taken_is_reported_to_the_operator(example: Organisation) -> None:
    port = ask_for_figures(example)
    taken = pytest.raises(OperatorError, match=f"no metrics on 127.0.0.1 port {port}")
    with socket.create_server(("127.0.0.1", port)), taken:
        await Service(example.file, FE1, Told().log).serve()


@on_loop
async def test_server_that_drains_is_not_healthy(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        assert (await get(port, "/health"))[0] == 200
        assert (await figures(port))[labelled("sipmesh_draining")] == 0
        home.nodes[FE1].core.drain()
        status, text = await get(port, "/health")
        assert (status, "this server drains" in text) == (503, True)
        assert (await figures(port))[labelled("sipmesh_draining")] == 1


@on_loop
async def test_server_none_of_whose_workers_serves_is_not_healthy(home: Network) -> None:
    """No process answers at its ports: a load balancer must choose another server."""
    port = ask_for_figures(home.organisations[0])
    workers = OneWorker()
    async with home, page_of(home, workers=workers):
        assert (await get(port, "/health"))[0] == 200
        assert (await figures(port))[labelled("sipmesh_workers", state="serving")] == 1
        workers.state = WorkerState.ENDED
        status, text = await get(port, "/health")
        assert (status, "no worker of this server serves" in text) == (503, True)
        assert (await figures(port))[labelled("sipmesh_workers", state="serving")] == 0


async def asked(port: int, host: str, path: str = "/metrics") -> int:
    """Ask for a page in the name of *host*, and return the status."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}{path}", headers={"Host": host}) as got,
    ):
        return got.status


@on_loop
async def test_page_of_another_site_whose_name_leads_here_reads_nothing(home: Network) -> None:
    """DNS rebinding: the browser of a user on this network asks, with the name of that site as Host."""
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        for host in ("evil.test", f"evil.test:{port}", f"{FE1}.evil.test", "127.0.0.1.evil.test", "[evil]", "", "::1"):
            assert [await asked(port, host, path) for path in ("/metrics", "/health")] == [421, 421], host
        for host in (
            f"127.0.0.1:{port}",
            "192.0.2.1",
            f"[::1]:{port}",
            FE1.upper(),
            f"localhost:{port}",
            socket.gethostname(),
        ):
            assert await asked(port, host) == 200, host


@on_loop
async def test_request_without_a_host_is_answered(home: Network) -> None:
    """A health check of a load balancer speaks HTTP/1.0, and a browser never does."""
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health HTTP/1.0\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"200"
        writer.close()


@on_loop
async def test_figures_are_collected_once_a_second_at_most(home: Network) -> None:
    """To collect them costs time of the loop that carries the messages."""
    port = ask_for_figures(home.organisations[0])
    async with home:
        page = MetricsPage(home.nodes[FE1], fresh_s=3600)
        await page.open()
        home.nodes[FE1].counters.upgrades[421] = 1
        first = await figures(port)
        home.nodes[FE1].counters.upgrades[421] = 2
        again = await asyncio.gather(*(figures(port) for _ in range(20)))
        await page.close()
    async with home, page_of(home):
        home.nodes[FE1].counters.upgrades[421] = 2
        newer = await figures(port)
    key = labelled("sipmesh_websocket_refused_total", status="421")
    assert (first[key], {one[key] for one in again}, newer[key]) == (1, {1}, 2)


@on_loop
async def test_address_gets_as_many_answers_a_minute_as_the_limit_says(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_rate, "WINDOW_S", math.inf)  # no minute ends within the test
    monkeypatch.setattr(page_module, "REQUESTS_A_MINUTE", 3)
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        assert [(await get(port, "/health"))[0] for _ in range(4)] == [200, 200, 200, 429]


@on_loop
async def test_oldest_connection_makes_room_for_the_next_one(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client with silent connections does not keep the monitoring out."""
    monkeypatch.setattr(http_port, "MOST_CONNECTIONS", 3)
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert (await get(port, "/health"))[0] == 200
        assert await silent[0][0].read() == b""
        silent[1][1].write(b"GET /health HTTP/1.0\r\n\r\n")
        assert (await silent[1][0].readline()).split()[1] == b"200"
        for _, writer in silent:
            writer.close()
