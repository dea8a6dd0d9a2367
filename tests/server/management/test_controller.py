"""The controller gives every server what it lacks, and knows what each has in force. No network: the test passes the octets."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

from cryptography import x509

from sipmesh.distribution.event import EVENT, STATUS_EVENT
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.management.controller import AGAIN_EVERY_S, Controller
from sipmesh.server.management.network_reply import network_reply
from sipmesh.server.management.offers import edges_behind
from sipmesh.server.management.replies import Acknowledgement, MemberReply
from sipmesh.server.wiring import here
from sipmesh.sip.message import Request, Response
from sipmesh.storage.audit_act import AuditAct
from sipmesh.topology.view import view
from support.control_plane import Plane
from support.managed import MGMT, Managed, without
from support.network import EDGE, FE1, FE2, FE3, POOL, POOL2
from support.running import on_jumping_loop, on_loop
from support.wires import Wire


def servers(plane: Plane) -> dict[str, MemberReply]:
    network = plane.controller.network.status(plane.controller.newest)
    return {server.server: server for server in network_reply(network).servers}


@on_jumping_loop
async def test_version_reaches_the_front_end_and_the_edge_behind_it(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        assert (
            plane.controller.behind == len(plane.controller.network.missing(1)) == 3
        )  # fe2, fe3 and fe4 have never reported
        assert (await plane.publish())["version"] == 2
        assert {name: plane.number(name) for name in (MGMT, FE1, EDGE)} == {MGMT: 2, FE1: 2, EDGE: 2}
        assert set(plane.controller.network.missing(2)).isdisjoint({FE1, EDGE})
        assert plane.controller.newest == 2


@on_jumping_loop
async def test_reconnected_server_gets_what_it_has_missed(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        plane.disconnect(MGMT, FE1, "the cable is out")
        await plane.publish()
        assert plane.number(FE1) == 1
        assert any("the cable is out" in fault.what for fault in servers(plane)[FE1].faults)
        await asyncio.sleep(1)
        plane.connect(MGMT, FE1)
        assert plane.number(FE1) == plane.number(EDGE) == 2


@on_loop
async def test_server_gets_the_users_of_its_pool_and_later_changes(managed: Managed) -> None:
    with Plane(managed) as plane:
        await plane.controller.refresh_users()
        plane.connect_all()
        host = plane.hosts[FE1]
        assert host.users is not None
        assert set(host.users.verifiers) == {"sip:alice@example.test", "sip:bob@example.test"}
        plane.users.add("dora@example.test", "dora-secret", pool=POOL2)
        await plane.controller.refresh_users()
        plane.exchange()
        assert host.users.homes == {"sip:dora@example.test": POOL2}
        assert host.number == plane.users.number
        assert plane.hosts[EDGE].users is None


@on_jumping_loop
async def test_revocation_is_pushed_before_its_crl(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        serial = x509.load_pem_x509_certificate(managed.papers(FE2)[0].read_bytes()).serial_number
        ca = managed.organisation.ca
        ca.revoke(serial, Reason.KEY_COMPROMISE, datetime.now(UTC))
        named = (ca.issuing.subject.public_bytes(), serial)
        plane.controller.crls_changed(frozenset({named}))
        plane.exchange()
        for name in (FE1, EDGE):
            assert plane.hosts[name].revoked == {named}
            assert (managed.folder(name) / "ca/issuing.crl") in plane.hosts[name].looked


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
async def test_server_that_refused_a_version_gets_it_again_later(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        plane.connect(MGMT, FE1)
        plane.hosts[FE1].refuses = "the disk is full"
        await plane.publish()
        assert plane.number(FE1) == 1
        plane.hosts[FE1].refuses = ""
        plane.controller.tick()
        plane.exchange()
        assert plane.number(FE1) == 1
        await asyncio.sleep(AGAIN_EVERY_S)
        plane.controller.tick()
        plane.exchange()
        assert plane.number(FE1) == 2


@on_jumping_loop
async def test_acknowledged_waits_for_servers_without_the_version(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        await plane.publish(without(FE2))
        told = await plane.ask("acknowledged", version=2, wait_s=30.0)
        assert (told["version"], told["missing"]) == (2, [FE3, "fe4.example.test"])
        waiting = asyncio.create_task(plane.controller.network.acknowledged(3, 30.0))
        await plane.publish()
        assert await waiting == Acknowledgement(3, [FE3, "fe4.example.test"], [], 4)


@on_jumping_loop
async def test_removed_server_is_revoked_and_forgotten(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        serial = x509.load_pem_x509_certificate(managed.papers(FE2)[0].read_bytes()).serial_number
        await plane.publish(without(FE2))
        assert FE2 not in servers(plane)
        revoked = [line.about for line in plane.management_db.audit.read() if line.act == AuditAct.REVOKE]
        assert [one["serial"] for one in revoked] == [f"{serial:x}"]


@on_jumping_loop
async def test_subscription_of_an_edge_is_refused_by_management(managed: Managed) -> None:
    """Management connects only to front ends."""
    with Plane(managed, FE1) as plane:
        wire = Wire(plane.hosts[MGMT].view.trusted[EDGE])
        request = here(plane.hosts[FE1].view).first("SUBSCRIBE", MGMT, [("event", EVENT)], b"")
        assert asked(plane.controller, wire, request).status == 403
        other = here(plane.hosts[FE1].view).first("SUBSCRIBE", MGMT, [("event", "presence")], b"")
        assert not plane.controller.requested(wire.link, plane.hosts[MGMT].view.trusted[EDGE], other)


def asked(controller: Controller, wire: Wire, request: Request) -> Response:
    """The answer to one request."""
    assert wire.peer is not None
    assert controller.requested(wire.link, wire.peer, request)
    [answer] = wire.taken()
    assert isinstance(answer, Response)
    return answer


@on_loop
async def test_unreachable_user_database_stops_nothing_else(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        file = plane.hosts[MGMT].view.loaded.users_file
        assert file is not None
        plane.users.close()
        file.rename(file.with_suffix(".away"))
        file.mkdir()
        await plane.controller.refresh_users()
        assert list(plane.hosts[MGMT].told.events("user database cannot be read: the known users stay in force"))
        assert (await plane.publish(force=True))["version"] == 2


def test_edges_behind_a_pool_have_it_as_their_next_hop(managed: Managed) -> None:
    seen = view(managed.organisation.load(), MGMT)
    assert edges_behind(seen, POOL) == {EDGE}
    assert edges_behind(seen, POOL2) == frozenset()
