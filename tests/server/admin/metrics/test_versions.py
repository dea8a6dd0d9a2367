"""Metrics of what a server has in force, read over HTTP."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from support.figures import ask_for_figures, figures, labelled, page_of
from support.managed import MGMT, Managed, build_managed
from support.network import EDGE, FE1, FE2, Network
from support.running import LOOK_AGAIN_S, on_loop


@on_loop
async def test_ends_are_reported_in_seconds(federation: Network) -> None:
    port = ask_for_figures(federation.of(EDGE), EDGE)
    async with federation, page_of(federation, EDGE):
        found = await figures(port)
        own = found[labelled("sipmesh_ends_in_seconds", what="server", name=EDGE)]
        assert own == pytest.approx(timedelta(days=30).total_seconds(), abs=3600)
        lists = [labels for name, labels in found if name == "sipmesh_ends_in_seconds" and ("what", "CRL") in labels]
        assert len(lists) == 4
        assert found[labelled("sipmesh_certificates_not_taken")] == 0


@on_loop
async def test_network_without_management_has_no_figures_of_published_versions(federation: Network) -> None:
    port = ask_for_figures(federation.of(EDGE), EDGE)
    async with federation, page_of(federation, EDGE):
        names = {name for name, _ in await figures(port)}
    assert "sipmesh_ends_in_seconds" in names
    assert not names & {"sipmesh_topology_version", "sipmesh_topology_newest", "sipmesh_management_unheard_seconds"}


@on_loop
@pytest.mark.wide
async def test_versions_and_who_is_behind_are_reported_where_management_publishes(tmp_path: Path) -> None:
    """`status` names the server that is behind; once it runs, it has the version."""
    organisation = build_managed(tmp_path / "m")
    ports = {name: ask_for_figures(organisation, name) for name in (MGMT, FE1)}
    async with Managed(organisation, tmp_path) as network:
        await network.start(MGMT, FE1, FE2, EDGE)
        await network.acknowledged(1)
        await network.stop(FE2)
        await network.publish(lambda document: document.update(sip_domains=["example.test", "example.net"]))
        await network.acknowledged(2)
        ours, fe1 = await figures(ports[MGMT]), await figures(ports[FE1])
        head = network.master.audit_head()
        assert FE2 in await network.type("status", code=1)
        await network.start(FE2)
        await network.acknowledged(2)
        while (await figures(ports[MGMT]))[labelled("sipmesh_servers_behind")]:
            await asyncio.sleep(LOOK_AGAIN_S)  # the page has the figures of the last second
    assert head is not None
    for found in (ours, fe1):
        assert found[labelled("sipmesh_topology_version")] == found[labelled("sipmesh_topology_newest")] == 2
    assert ours[labelled("sipmesh_servers_behind")] == 1
    assert ours[labelled("sipmesh_audit_lines", head=head.hash)] == head.seq
    assert 0 <= fe1[labelled("sipmesh_management_unheard_seconds")] < 30
    assert labelled("sipmesh_servers_behind") not in fe1
