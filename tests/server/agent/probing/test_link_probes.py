"""A server probes links for management: only those of its role, each once, and it reports the results."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.errors import RemoteError
from sipmesh.server.agent.probing.link_probes import LinkProbes, hop_of
from sipmesh.server.replication.probe_order import PROBE, ProbeOrder
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2
from support.running import on_loop, until


def order(network: Managed, server: str, *targets: str, later_ms: int = 0, version: int = 1) -> bytes:
    """An order that management has signed."""
    number = int(datetime.now(UTC).timestamp() * 1000) + later_ms
    made = ProbeOrder(network.nodes[server].view.organisation, server, number, version, targets)
    return network.signed(made.encode(), kind=PROBE)


async def results(probes: LinkProbes) -> dict[str, tuple[bool, str]]:
    """Wait for the results of the last order."""
    await until(lambda: probes.report is not None)
    assert probes.report is not None
    return {link.target: (link.passed, link.told) for link in probes.report.links}


@on_loop
@pytest.mark.wide
async def test_link_that_works_and_link_that_does_not_are_distinguished(managed: Managed) -> None:
    async with managed:
        await managed.start(EDGE, MGMT, FE1)  # the front end may dial its edge at once, and waits after a failure
        probes = managed.member(FE1).probes
        assert probes.report is None
        probes.accept(order(managed, FE1, EDGE, FE2))
        found = await results(probes)
        assert found[EDGE] == (True, f"accepted: {EDGE}")
        passed, told = found[FE2]
        assert (passed, "refused" in told) == (False, True), told
        assert not [link for link in managed.nodes[FE1].pool.all() if link.hop and link.hop.name == FE2]


@on_loop
@pytest.mark.wide
async def test_order_is_carried_out_once_and_a_later_one_replaces_it(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT, FE1, EDGE)
        probes = managed.member(FE1).probes
        first, second = order(managed, FE1, FE2), order(managed, FE1, EDGE, later_ms=1000)
        probes.accept(first)
        probes.accept(second)
        assert list(await results(probes)) == [EDGE]
        probes.accept(second)
        assert probes.report is not None
        with pytest.raises(RemoteError, match="older than the last one"):
            probes.accept(first)
        probes.close()
        assert probes.report is not None
        assert not probes.report.links


@on_loop
async def test_links_that_the_role_does_not_open_are_refused(managed: Managed) -> None:
    """An edge opens links to the front ends of its next hop, and a front end none to management."""
    async with managed:
        await managed.start(MGMT, FE1, EDGE)
        edge, front_end = managed.nodes[EDGE].view, managed.nodes[FE1].view
        assert hop_of(edge, FE1).name == FE1
        for view, target in (
            (edge, MGMT),
            (edge, EDGE),
            (front_end, FE1),
            (front_end, "evil.test"),
            (edge, "127.0.0.1"),
        ):
            with pytest.raises(RemoteError, match="to which this server opens none"):
                hop_of(view, target)
