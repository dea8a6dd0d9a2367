"""What knows links and their peers follows the topology together."""

from __future__ import annotations

from sipmesh.demo.organisation import Organisation
from support.network import EDGE, FE1, Network
from support.running import on_loop
from support.server_parts import server_parts


@on_loop
async def test_peers_are_judged_by_the_version_that_is_in_force(example: Organisation) -> None:
    async with server_parts(example, FE1) as parts:
        example.document["sip_domains"] = ["example.test", "example.org"]
        example.write()
        version = parts.put(example)
        assert parts.peers.gatekeeper.view is version.view


@on_loop
async def test_addresses_of_servers_are_reserved_from_the_start(federation: Network) -> None:
    async with server_parts(federation.organisations[0], EDGE) as parts:
        assert parts.peers.neighbours.has("127.0.0.1")
        assert not parts.peers.neighbours.has("192.0.2.7")


@on_loop
async def test_tick_reports_and_looks_at_memory(example: Organisation) -> None:
    async with server_parts(example, FE1) as parts:
        ticks: list[float] = []

        class Report:
            def tick(self, now: float) -> None:
                ticks.append(now)

        parts.peers.reports = Report(), Report()  # type: ignore[assignment]
        parts.peers.tick()
        assert len(ticks) == 2
