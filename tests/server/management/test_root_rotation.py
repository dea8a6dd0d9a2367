"""Root rotation: no step before every server is ready for it. No network."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.management.publishing.publish import OF_HOST
from sipmesh.server.management.replies import RootStep
from sipmesh.server.replication.server_status import ServerStatus, ShownCertificate
from sipmesh.storage.audit_act import AuditAct
from sipmesh.topology.document.changes import add_root
from support.control_plane import Plane
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2, FE3, FE4
from support.running import on_jumping_loop

MEMBERS = (FE1, FE2, FE3, FE4, EDGE)
WHO = "ada (1)"


def generations(managed: Managed) -> CaGenerations:
    return CaGenerations(managed.folder(MGMT) / "ca")


def prepare(managed: Managed) -> None:
    """Prepare another root, and add it to the draft's anchors."""
    made = generations(managed).prepare(datetime.now(UTC))
    anchor, *lists = (f"ca/2/{name}" for name in ("root.pem", "root.crl", "issuing.crl"))
    assert made.folder == managed.folder(MGMT) / "ca" / "2"
    file = managed.organisation.file
    file.write_text(add_root(file.read_text(), anchor, tuple(lists)))


async def publish(plane: Plane) -> None:
    """Publish the draft in its file."""
    plan = await plane.controller.publisher.plan()
    await plane.controller.publisher.publish(WHO, "because", plan.base, plan.digest, force=True, role=OF_HOST)


def report(plane: Plane, issuer: str = "", under: str = "", *, servers: tuple[str, ...] = MEMBERS) -> None:
    """Let servers report the newest version as in force, and the certificate that they present."""
    number = plane.number(MGMT)
    shown = ShownCertificate(serial="1", ends=datetime.now(UTC), issuer=issuer, under=under)
    status = ServerStatus(number=number, certificate=shown)
    plane.hosts[MGMT].status = status
    for name in servers:
        plane.controller.reports.record(name, status, datetime.now(UTC), number)


def names(managed: Managed) -> tuple[str, str]:
    """The present issuing CA and root."""
    current = generations(managed).current
    return current.issuing.subject.rfc4514_string(), current.root.subject.rfc4514_string()


@on_jumping_loop
async def test_steps_follow_one_after_the_other(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        steps = plane.controller.root_rotation
        before, old_root = names(managed)
        prepare(managed)
        await publish(plane)
        report(plane, before, old_root)
        assert steps.activate(WHO).generation == 2
        issuing, new_root = names(managed)
        assert issuing != before
        report(plane, issuing, old_root)
        assert steps.switch(WHO) == RootStep(2, new_root)
        report(plane, issuing, new_root)
        with pytest.raises(OperatorError, match="root 1 is still trusted"):
            steps.retire(WHO)
        acts = [line.about["step"] for line in plane.management_db.audit.read() if line.act == AuditAct.ROOT]
        assert acts == ["activate", "switch"]


@on_jumping_loop
async def test_root_that_is_not_prepared_or_not_published_is_not_activated(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        with pytest.raises(OperatorError, match="no new root is prepared"):
            plane.controller.root_rotation.activate(WHO)
        prepare(managed)
        with pytest.raises(OperatorError, match="in the draft, and not published"):
            plane.controller.root_rotation.activate(WHO)
        assert generations(managed).number == 1


@on_jumping_loop
async def test_server_without_the_new_root_prevents_the_activation(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        prepare(managed)
        await publish(plane)
        report(plane, servers=MEMBERS[1:])
        with pytest.raises(OperatorError, match=FE1):
            plane.controller.root_rotation.activate(WHO)
        assert generations(managed).number == 1
        report(plane)
        plane.controller.root_rotation.activate(WHO)
        assert generations(managed).number == 2


@on_jumping_loop
async def test_server_with_a_certificate_of_the_old_ca_prevents_the_switch(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        steps = plane.controller.root_rotation
        with pytest.raises(OperatorError, match="lead to the same root already"):
            steps.switch(WHO)
        former, old_root = names(managed)
        prepare(managed)
        await publish(plane)
        report(plane)
        steps.activate(WHO)
        report(plane, names(managed)[0], old_root)
        report(plane, former, old_root, servers=(EDGE,))
        plane.hosts[MGMT].status = plane.controller.reports.reports[FE1].status
        with pytest.raises(OperatorError, match=EDGE):
            steps.switch(WHO)
        assert steps.not_issued_by(names(managed)[0]) == [EDGE]
        assert generations(managed).is_crossed


@on_jumping_loop
async def test_server_under_the_old_root_or_without_a_report_prevents_the_retirement(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        _, root = names(managed)
        report(plane, under=root, servers=(FE1, FE2, FE3, EDGE))
        assert plane.controller.root_rotation.not_under(root) == [FE4]
        with pytest.raises(OperatorError, match=FE4):
            plane.controller.root_rotation.retire(WHO)
        report(plane, under=root)
        assert plane.controller.root_rotation.retire(WHO).retired == []
