"""A server of another machine gets a certificate for its own key, and a grant to carry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.management.enrolment import Enrolment, EnrolmentRequest
from sipmesh.server.replication.join_grant import JoinGrant
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from support.managed import MGMT, Managed
from support.network import FE1

KEY = files.new_key().public_key()


@pytest.fixture(name="db")
def _db(managed: Managed) -> Iterator[ManagementDb]:
    management_db = ManagementDb(managed.folder(MGMT))
    yield management_db
    management_db.close()


@pytest.fixture(name="enrolment")
def _enrolment(managed: Managed, db: ManagementDb) -> Enrolment:
    return Enrolment(db, CaGenerations(managed.organisation.folder / "ca"), managed.organisation.folder)


def asking(server: str = FE1, **changes: object) -> EnrolmentRequest:
    request = EnrolmentRequest(server, KEY, "ada (1)", datetime.now(UTC), timedelta(days=30), replace=True)
    return replace(request, **changes)  # type: ignore[arg-type]  # any field


def test_grant_has_the_requested_key_and_the_signed_topology(
    enrolment: Enrolment, db: ManagementDb, managed: Managed
) -> None:
    enrolled = enrolment.enrol(asking())
    grant = JoinGrant.read(enrolled.grant.encode(), managed.organisation.file)
    assert grant.chain[0].public_key() == KEY
    assert grant.publication == db.history.get(1).jws
    assert (db.audit.read()[-1].act, db.audit.read()[-1].about["server"]) == (AuditAct.JOIN, FE1)


def test_server_with_a_valid_certificate_of_another_key_is_refused_and_recorded(
    enrolment: Enrolment, db: ManagementDb, managed: Managed
) -> None:
    """Somebody else may ask in its name; the operator has to confirm it."""
    before = managed.organisation.ca.certificates
    with pytest.raises(OperatorError, match="--replace"):
        enrolment.enrol(asking(replace=False))
    assert managed.organisation.ca.certificates == before
    assert (db.audit.read()[-1].act, db.audit.read()[-1].about["act"]) == (AuditAct.REFUSED, "join")


def test_second_certificate_is_granted_with_replace(enrolment: Enrolment, db: ManagementDb) -> None:
    others = enrolment.enrol(asking()).others
    assert [record.names[0] for record in others] == [FE1]
    assert db.audit.read()[-1].about["beside"] == others[0].serial_hex


def test_revoked_and_expired_certificates_do_not_prevent_a_grant(enrolment: Enrolment, managed: Managed) -> None:
    ca, now = managed.organisation.ca, datetime.now(UTC)
    for record in ca.certificates:
        if record.names[0] == FE1:
            ca.revoke(record.serial, Reason.SUPERSEDED, now)
    assert enrolment.enrol(asking(replace=False)).others == []


def test_same_key_is_granted_again(enrolment: Enrolment) -> None:
    first = enrolment.enrol(asking()).grant.chain[0].serial_number
    assert first not in [record.serial for record in enrolment.enrol(asking()).others]


def test_server_that_is_not_in_the_published_topology_is_refused(enrolment: Enrolment) -> None:
    with pytest.raises(OperatorError, match="publish that first"):
        enrolment.enrol(asking("fe9.example.test"))


def test_unreadable_crl_is_an_error_before_a_certificate_is_issued(
    enrolment: Enrolment, managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = managed.organisation.ca.certificates
    with monkeypatch.context() as limited:
        limited.setattr("sipmesh.server.management.enrolment.LARGEST_LIST", 1)
        with pytest.raises(OperatorError, match="nothing was granted"):
            enrolment.enrol(asking())
    assert managed.organisation.ca.certificates == before
    assert enrolment.enrol(asking()).grant.lists
