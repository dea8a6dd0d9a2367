"""One certificate is revoked, and the audit log has its server, its serial and the reason."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.management.revoking import last_revocation, lost_certificates, revoke
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from support.network import BEGAN, FE1, FE2, build_example


def test_certificate_is_revoked_and_noted_and_an_unknown_serial_is_not(tmp_path: Path) -> None:
    build_example(tmp_path)
    generations, noted = CaGenerations(tmp_path / "ca"), list[tuple[AuditAct, dict[str, object]]]()
    issued = next(record for record in generations.records() if FE1 in record.names)

    def note(act: AuditAct, /, **about: object) -> None:
        noted.append((act, about))

    with pytest.raises(OperatorError):
        revoke(generations, 1, Reason.SUPERSEDED, BEGAN, note)
    assert noted == []
    record = revoke(generations, issued.serial, Reason.SUPERSEDED, BEGAN, note)
    assert (record.revoked_at, record.reason) == (BEGAN, Reason.SUPERSEDED)
    assert noted == [(AuditAct.REVOKE, {"server": FE1, "serial": issued.serial_hex, "because": "superseded"})]


def test_no_certificate_is_lost_while_ledger_log_and_files_agree(tmp_path: Path) -> None:
    build_example(tmp_path)
    generations = CaGenerations(tmp_path / "ca")
    (tmp_path / "servers" / "notes.pem").write_text("no certificate")
    assert lost_certificates(generations, {FE1, FE2}, None, BEGAN) == {}


def test_lost_certificate_is_found_until_it_is_revoked_or_has_expired(tmp_path: Path) -> None:
    build_example(tmp_path)
    generations = CaGenerations(tmp_path / "ca")
    serial = next(record.serial for record in generations.records() if FE1 in record.names)
    with closing(sqlite3.connect(tmp_path / "ca" / "ledger.db")) as db, db:
        db.execute("DELETE FROM certificates WHERE serial = ?", (f"{serial:x}",))
    assert lost_certificates(generations, {FE2}, None, BEGAN) == {}
    assert lost_certificates(generations, {FE1}, None, BEGAN) == {serial: FE1}
    assert lost_certificates(generations, {FE1}, None, BEGAN + timedelta(days=31)) == {}
    with pytest.raises(OperatorError):
        revoke(generations, serial, Reason.SUPERSEDED, BEGAN, lambda *_, **__: None)
    record = revoke(generations, serial, Reason.SUPERSEDED, BEGAN, lambda *_, **__: None, FE1)
    assert (record.names, record.der) == ((FE1,), None)
    assert generations.current.crls.in_force().lists(serial)
    assert lost_certificates(generations, {FE1}, None, BEGAN) == {}


def test_certificate_that_only_the_ledger_calls_revoked_is_lost(tmp_path: Path) -> None:
    build_example(tmp_path)
    generations = CaGenerations(tmp_path / "ca")
    serial = next(record.serial for record in generations.records() if FE1 in record.names)
    with closing(sqlite3.connect(tmp_path / "ca" / "ledger.db")) as db, db:
        db.execute("UPDATE certificates SET revoked_at = ? WHERE serial = ?", (BEGAN.isoformat(), f"{serial:x}"))
    assert lost_certificates(generations, {FE1}, None, BEGAN) == {serial: FE1}
    revoke(generations, serial, Reason.SUPERSEDED, BEGAN, lambda *_, **__: None, FE1)
    assert generations.current.crls.in_force().lists(serial)
    assert lost_certificates(generations, {FE1}, None, BEGAN) == {}


def test_row_that_cannot_be_read_keeps_no_other_certificate_from_being_revoked(tmp_path: Path) -> None:
    build_example(tmp_path)
    generations = CaGenerations(tmp_path / "ca")
    serials = {record.names[0]: record.serial for record in generations.records()}
    with closing(sqlite3.connect(tmp_path / "ca" / "ledger.db")) as db, db:
        db.execute("UPDATE certificates SET serial = 'no number' WHERE serial = ?", (f"{serials[FE2]:x}",))
    assert FE2 not in {record.names[0] for record in generations.records()}
    assert ["the certificate no number cannot be read" in row.reason for row in generations.changed_rows()] == [True]
    assert [record.names[0] for _ca, record in generations.as_issued(serials.values()).values()].count(FE1) == 1
    revoke(generations, serials[FE1], Reason.SUPERSEDED, BEGAN, lambda *_, **__: None, FE1)
    assert generations.current.crls.in_force().lists(serials[FE1])


def test_revocation_that_the_ledger_has_lost_counts_by_the_audit_log_and_by_the_crl(tmp_path: Path) -> None:
    build_example(tmp_path)
    generations = CaGenerations(tmp_path / "ca")
    of = {name: next(one.serial for one in generations.records() if name in one.names) for name in (FE1, FE2)}
    management_db = ManagementDb(tmp_path)
    audit = management_db.audit
    assert last_revocation(generations, FE1, "", audit) is None
    revoke(generations, of[FE1], Reason.UNSPECIFIED, BEGAN, lambda *_, **__: None)
    with closing(sqlite3.connect(tmp_path / "ca" / "ledger.db")) as db, db:
        db.execute("UPDATE certificates SET revoked_at = NULL")
    by_crl = BEGAN.replace(microsecond=0) + timedelta(seconds=1)
    assert last_revocation(generations, FE1.upper(), "", audit) == by_crl  # by the CRL, and the name in the ledger
    with closing(sqlite3.connect(tmp_path / "ca" / "ledger.db")) as db, db:
        db.execute("DELETE FROM certificates")
    assert last_revocation(generations, FE1, "", audit) is None
    audit.append("ada", AuditAct.ISSUE, {"server": FE1, "serial": f"{of[FE1]:x}"}, at=BEGAN)
    assert last_revocation(generations, FE1, "", audit) == by_crl  # by the CRL, and the name in the log
    assert last_revocation(generations, FE2, "", audit) is None
    later = BEGAN + timedelta(days=400)
    audit.append("ada", AuditAct.REVOKE, {"server": FE1, "serial": f"{of[FE1]:x}"}, at=later)
    audit.append("ada", AuditAct.REVOKE, {"user": "alice@example.test", "device": "desk"}, at=BEGAN)
    assert last_revocation(generations, FE1, "", audit) == later
    found = [last_revocation(generations, "Alice@example.test", device, audit) for device in ("desk", "car")]
    assert found == [BEGAN, None]
    management_db.close()
