"""What a managed server reports, and when. No network."""

from __future__ import annotations

import asyncio
import json

import pytest

from sipmesh.distribution.event import STATUS_EVENT
from sipmesh.distribution.items import Item, ItemKind
from sipmesh.server.agent.status_reporter import MOST_ERRORS, REPORT_EVERY_S
from sipmesh.server.here import here
from support.control_plane import Host, Plane
from support.giving import Giver, error
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2
from support.running import on_jumping_loop


@on_jumping_loop
async def test_refused_version_is_reported_until_another_is_accepted(managed: Managed) -> None:
    with Plane(managed) as plane:
        giver = Giver(plane)
        wrong = managed.signed(managed.payload(2), managed.credentials(FE2))
        assert giver.topology(wrong) == 488
        assert "which is not trusted" in error(plane)
        assert (plane.number(FE1), managed.holding(FE1).highest) == (1, 1)
        assert giver.topology(managed.version(2)) == 200
        assert error(plane) == "{}"


@on_jumping_loop
async def test_announced_version_makes_the_server_behind(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver, agent = Giver(plane), plane.agents[FE1]
        assert (agent.behind, agent.newest) == (0, 1)
        assert giver.tell(highest=7) == 200
        assert (agent.behind, agent.newest) == (7, 7)
        assert [line["version"] for line in plane.hosts[FE1].told.events("a newer topology version exists")] == [7]


@on_jumping_loop
async def test_reported_errors_are_limited(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver = Giver(plane)
        for number in range(MOST_ERRORS + 1):
            assert giver.give(Item(ItemKind.LIST, b"nothing", f"/{number}.crl")) == 488
        assert len(plane.agents[FE1].reporter._errors) == MOST_ERRORS


@on_jumping_loop
async def test_server_reports_every_ten_seconds(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        plane.connect(MGMT, FE1)
        agent, loop = plane.agents[FE1], asyncio.get_running_loop()
        before = plane.controller.reports.reports[FE1].heard_at
        plane.hosts[FE1].status = plane.hosts[FE1].status.model_copy(update={"certificate_fault": "gone"})
        agent.tick()
        plane.exchange()
        assert plane.controller.reports.reports[FE1].heard_at == before
        begun = loop.time()
        await asyncio.sleep(REPORT_EVERY_S)
        assert agent.unheard_s >= loop.time() - begun
        agent.tick()
        plane.exchange()
        assert plane.controller.reports.reports[FE1].status.certificate_fault == "gone"
        assert agent.unheard_s == 0


@on_jumping_loop
async def test_unreadable_report_of_an_edge_is_reported_to_management(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        body = json.dumps({"number": "seven"}).encode()
        request = here(plane.hosts[EDGE].view).first("PUBLISH", FE1, [("event", STATUS_EVENT)], body)
        plane.deliver(request, FE1, plane.wire(FE1, EDGE))
        plane.exchange()
        assert "number" in plane.controller.reports.misread[EDGE][FE1]
        assert [line["peer"] for line in plane.hosts[FE1].told.events("server report rejected")] == [EDGE]


@on_jumping_loop
async def test_disk_that_does_not_store_is_reported_until_it_does(managed: Managed) -> None:
    """The log gets one line a minute for each document."""
    with Plane(managed, FE1) as plane:
        reporter, key = plane.agents[FE1].reporter, (ItemKind.USERS, "")
        for _ in range(3):
            reporter.storage_failed(key, "the disk is full")
        assert error(plane) == str({key: "the disk is full"})
        assert len(list(plane.hosts[FE1].told.events("document not stored: sipmesh tries again"))) == 1
        reporter.mend(key)
        assert error(plane) == "{}"


@on_jumping_loop
async def test_nothing_is_reported_while_a_process_lacks_what_is_in_force(
    managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Plane(managed, FE1) as plane:
        plane.connect_all()
        reporter, reports = plane.agents[FE1].reporter, list[object]()
        monkeypatch.setattr(Host, "is_settled", property(lambda _: False))
        monkeypatch.setattr(reporter._outlet, "publish", reports.append)
        reporter.report()
        assert reports == []
        monkeypatch.setattr(Host, "is_settled", property(lambda _: True))
        reporter.report()
        assert len(reports) == 1


@on_jumping_loop
async def test_edge_that_is_no_longer_behind_us_is_not_reported(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        reporter = plane.agents[FE1].reporter
        assert set(reporter._relayed) == {EDGE}
        reporter.keep([EDGE])
        assert set(reporter._relayed) == {EDGE}
        reporter.keep([])
        assert reporter._relayed == {}
