"""The page of the metrics, and whether a server says that it is healthy."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.admin.metrics.page import MetricsPage
from sipmesh.server.service import Service
from sipmesh.topology.view import certificate_names
from sipmesh.trust.role import Role
from support.figures import MINUTE, ask_for_figures, figures, get, labelled, page_of
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
async def test_port_that_is_taken_is_told_to_the_operator(example: Organisation) -> None:
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
        home.nodes[FE1].dispatch.drain()
        status, text = await get(port, "/health")
        assert (status, "this server drains" in text) == (503, True)
        assert (await figures(port))[labelled("sipmesh_draining")] == 1
