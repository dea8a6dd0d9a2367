"""The controller gives every server what it lacks, and knows what each has in force. No network: the test passes the octets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509

from sipmesh.distribution.event import EVENT
from sipmesh.server.here import here
from sipmesh.server.management.controller import AGAIN_EVERY_S, Controller
from sipmesh.server.management.network_reply import network_reply
from sipmesh.server.management.replies import Acknowledgement, MemberReply
from sipmesh.server.management.server_faults import BEHIND_TOO_LONG
from sipmesh.sip.message import Request, Response
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.history import Slot
from sipmesh.storage.management_db import ManagementDb
from support.approving import Approver, approve, drafted, rule
from support.control_plane import Plane
from support.managed import MGMT, Managed, without
from support.network import EDGE, FE1, FE2, FE3
from support.running import on_jumping_loop, on_loop, until
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
async def test_restored_management_publishes_again_what_the_lost_host_has_signed(managed: Managed) -> None:
    """A server that knows the new fencing number would refuse a version without it."""
    management_db = ManagementDb(managed.folder(MGMT))
    management_db.lease.jump(1000)
    management_db.close()
    with Plane(managed) as plane:
        plane.connect_all()
        await until(lambda: plane.number(MGMT) == 2)
        await plane.settle()
        assert {plane.number(name) for name in (FE1, EDGE)} == {2}
        assert {managed.holding(name).fencing for name in (FE1, EDGE)} == {1000}
        [_, line] = [line for line in plane.management_db.audit.read() if line.act == AuditAct.PUBLISH]
        assert (line.who, line.about["why"]) == (MGMT, f"{MGMT} leads, with fencing number 1000")


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
        serial = x509.load_pem_x509_certificate(managed.credentials(FE2)[0].read_bytes()).serial_number
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
async def test_changes_of_users_and_crls_are_sent_at_once(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        plane.connect(MGMT, FE1)
        plane.hosts[FE1].looked.clear()
        await plane.controller.refresh_users()
        managed.organisation.ca.crls.publish(datetime.now(UTC))
        plane.controller.crls_changed(frozenset({(b"issuer", 7)}))
        plane.exchange()
        host = plane.hosts[FE1]
        assert host.users is not None
        assert host.revoked == {(b"issuer", 7)}
        assert managed.folder(FE1) / "ca/issuing.crl" in host.looked


def test_server_that_is_behind_for_too_long_is_logged_with_its_reason(
    managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    @on_jumping_loop
    async def falls_behind() -> None:
        with Plane(managed, FE1) as plane:
            plane.connect(MGMT, FE1)
            plane.hosts[FE1].refuses = "the disk is full"
            await plane.publish()
            plane.controller.tick()
            told = plane.hosts[MGMT].told
            assert not list(told.events("server is behind"))
            assert len(plane.controller.clocks_s) == 1
            later = datetime.now(UTC) + BEHIND_TOO_LONG
            monkeypatch.setattr("sipmesh.server.management.controller.now_utc", lambda: later)
            plane.controller.tick()
            [line] = told.events("server is behind")
            assert (line["peer"], line["holds"], line["newest"]) == (FE1, 1, 2)
            last = plane.controller.audit_head()
            assert last is not None
            assert last.act == AuditAct.PUBLISH

    falls_behind()


@on_loop
async def test_server_that_follows_refuses_a_version_without_the_approvals_of_operators(managed: Managed) -> None:
    """An attacker with the host of another management server signs as management, and writes to the database of the pool."""
    ada, ben = Approver("ada"), Approver("ben")
    with Plane(managed) as plane:
        managed.edit(lambda document: document.update(approvals=rule(ada, ben)))
        approve(managed, 1, ada, ben)
        await plane.publish()
        managed.edit(lambda document: document["sip_domains"].append("evil.test"))
        octets = drafted(managed, 2).encode()
        for approvers in ((), (ada,)):
            _store(plane, approvals={operator.name: operator.signs(octets) for operator in approvers})
            await plane.controller.follow()
            await plane.controller.follow()
            assert plane.number(MGMT) == 2
            assert "is not approved" in plane.controller.own_faults.of_pool()[-1].what
        assert len([*plane.hosts[MGMT].told.events("a version of the management database is refused")]) == 2
        _store(plane, approvals={operator.name: operator.signs(octets) for operator in (ada, ben)})
        await plane.controller.follow()
        assert (plane.number(MGMT), plane.controller.own_faults.of_pool()) == (5, [])


def _store(plane: Plane, **changes: Any) -> None:
    """Store the draft as the next version, as another management server does."""
    history = plane.management_db.history
    head = history.head()
    assert head is not None

    def make(slot: Slot) -> bytes:
        return plane.managed.version(slot.number, serial=2, **changes)

    history.publish(head.number, make, "eve (1)", "why", at=datetime.now(UTC))
