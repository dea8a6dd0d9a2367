"""A server of another machine gets a certificate for its own key, and a grant to carry."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.management.enrolment import Enrolment, EnrolmentRequest
from sipmesh.server.replication.document_store import DocumentStore
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
    """Another machine may ask in its name; the operator has to confirm it."""
    before = managed.organisation.ca.certificates
    with pytest.raises(OperatorError, match="--replace"):
        enrolment.enrol(asking(replace=False))
    assert managed.organisation.ca.certificates == before
    assert (db.audit.read()[-1].act, db.audit.read()[-1].about["act"]) == (AuditAct.REFUSED, "join")


def test_management_server_needs_a_key_to_which_files_are_sealed(enrolment: Enrolment) -> None:
    with pytest.raises(OperatorError, match="has an ECDSA key: files of the CA are sealed to it"):
        enrolment.enrol(asking(MGMT, key=MLDSA44PrivateKey.generate().public_key()))
    assert enrolment.enrol(asking(MGMT)).grant.chain[0].public_key() == KEY


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


def test_of_several_keys_that_ask_at_once_one_is_granted(managed: Managed, db: ManagementDb) -> None:
    """An attacker with a request in the name of a new server gets no certificate beside that of the server."""
    folder, now = managed.organisation.folder, datetime.now(UTC)
    for record in managed.organisation.ca.certificates:
        if record.names[0] == FE1:
            managed.organisation.ca.revoke(record.serial, Reason.SUPERSEDED, now)
    keys = [files.new_key().public_key() for _ in range(4)]
    begin = Barrier(len(keys))

    def granted(key: ec.EllipticCurvePublicKey) -> str:
        own = ManagementDb(managed.folder(MGMT))
        try:
            enrolment = Enrolment(own, CaGenerations(folder / "ca"), folder)
            begin.wait()
            enrolment.enrol(asking(key=key, replace=False))
        except OperatorError as wrong:
            return str(wrong)
        finally:
            own.close()
        return ""

    with ThreadPoolExecutor(len(keys)) as pool:
        refused = sorted(pool.map(granted, keys))[1:]
    assert ["--replace" in why for why in refused] == [True, True, True]
    about = [line for line in db.audit.read() if line.about.get("server") == FE1]
    assert [line.act for line in about].count(AuditAct.REFUSED) == 3


def test_server_that_the_version_of_this_moment_does_not_have_gets_nothing(
    enrolment: Enrolment, managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version that removes a server revokes its certificates. A certificate that is issued after that would stay valid."""
    read, before = enrolment._newest, managed.organisation.ca.certificates
    documents = DocumentStore(managed.folder(MGMT), MGMT)

    def published_meanwhile(at: datetime) -> object:
        found, version = read(at), managed.version(2)
        documents.keep(version, documents.read(version))
        return found

    monkeypatch.setattr(enrolment, "_newest", published_meanwhile)
    with pytest.raises(OperatorError, match="another version was published meanwhile"):
        enrolment.enrol(asking())
    assert managed.organisation.ca.certificates == before
    monkeypatch.undo()
    enrolment.enrol(asking())
