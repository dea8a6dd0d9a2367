"""What management does with the reports of servers. No network: the test passes the octets."""

from __future__ import annotations

import asyncio
import json
from unittest.mock import patch

from sipmesh.distribution.event import STATUS_EVENT
from sipmesh.server.here import here
from sipmesh.server.management.grantor import Grantor
from sipmesh.server.management.report_receiver import REQUEST_REST_S
from sipmesh.storage.audit_act import AuditAct
from support.control_plane import Plane
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2, FE3
from support.running import on_jumping_loop


@on_jumping_loop
async def test_reports_of_servers_and_relayed_reports_of_edges_are_stored(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        for host in plane.hosts.values():
            host.status = host.status.model_copy(update={"error": f"of {host.view.name}"})
        plane.agents[EDGE].reporter.report()
        plane.exchange()
        reports = plane.controller.reports.reports
        assert {name: (reports[name].status.error, reports[name].by) for name in (FE1, EDGE)} == {
            FE1: ("", ""),
            EDGE: ("", FE1),
        }
        assert plane.controller.network.statuses()[FE2] is None
        assert len(plane.controller.network.members()) == 5
        assert abs(plane.controller.clocks_s[0]) < 5


@on_jumping_loop
async def test_unreadable_report_changes_nothing_and_is_logged(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        before = plane.controller.reports.reports[FE1]
        publish(plane, {"number": "seven"})
        assert plane.controller.reports.reports[FE1] == before
        assert "number" in plane.controller.reports.misread[FE1][""]
        assert [line["peer"] for line in plane.hosts[MGMT].told.events("server report rejected")] == [FE1]


@on_jumping_loop
async def test_front_end_cannot_relay_a_report_for_an_edge_of_another_pool(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        plane.connect(MGMT, FE1)
        publish(
            plane, {"number": 1, "relayed": {FE3: {"number": 9}, "nobody.test": {"number": 9}, EDGE: {"number": 1}}}
        )
        assert set(plane.controller.reports.reports) == {FE1, EDGE}


def publish(plane: Plane, status: dict[str, object]) -> None:
    """Send a report in the name of fe1, and deliver what follows."""
    request = here(plane.hosts[FE1].view).first("PUBLISH", MGMT, [("event", STATUS_EVENT)], json.dumps(status).encode())
    plane.deliver(request, MGMT, plane.wire(MGMT, FE1))
    plane.exchange()


@on_jumping_loop
async def test_invalid_certificate_request_is_refused_and_audited(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        plane.connect(MGMT, FE1)
        publish(plane, {"number": 1, "request": "nothing that was signed"})
        [line] = [line for line in plane.management_db.audit.read() if line.act == AuditAct.REFUSED]
        assert line.who == FE1
        assert [line["peer"] for line in plane.hosts[MGMT].told.events("certificate not renewed")] == [FE1]


@on_jumping_loop
async def test_request_without_a_certificate_is_followed_by_a_rest_for_its_server_and_sender(managed: Managed) -> None:
    """The report itself counts. The next request after the rest is judged, and one of another server at once."""
    judged: list[str] = []

    def asked(_self: object, server: str, request: str, *_: object) -> bool:
        judged.append(f"{server} {request}")
        return False

    with Plane(managed, FE1) as plane, patch.object(Grantor, "asked", asked):
        plane.connect(MGMT, FE1)
        publish(plane, {"number": 1, "request": "one"})
        publish(plane, {"number": 2, "request": "two"})
        assert plane.controller.reports.reports[FE1].status.number == 2
        publish(plane, {"number": 2, "relayed": {EDGE: {"number": 1, "request": "of the edge"}}})
        await asyncio.sleep(REQUEST_REST_S)
        publish(plane, {"number": 2, "request": "three"})
        assert judged == [f"{FE1} one", f"{EDGE} of the edge", f"{FE1} three"]
