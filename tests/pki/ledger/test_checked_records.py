"""The ledger's records, each compared with its certificate."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.issued import Issued
from sipmesh.pki.ledger.ledger import FILE

FE1 = "fe1.example.test"


def change(ca: EnterpriseCa, assignment: str, serial: int) -> None:
    """Write into the ledger as a user who has the file."""
    with closing(sqlite3.connect(ca.folder / FILE)) as db, db:
        db.execute(f"UPDATE certificates SET {assignment} WHERE serial = ?", (f"{serial:x}",))  # noqa: S608 - our own


def test_record_as_it_was_issued_is_found(ca: EnterpriseCa, issued: Issued, noon: datetime) -> None:
    serial = issued.certificate.serial_number
    record = ca.records.find(serial)
    assert ca.records.is_as_issued(record)
    assert ca.records.valid_of({FE1}, noon) == [record]
    assert ca.records.valid_of({FE1}, noon + timedelta(days=99)) == []
    assert ca.records.changed_rows() == ()
    ca.records.must_be_unchanged({FE1})


def test_changed_row_is_left_out_and_named(ca: EnterpriseCa, issued: Issued, noon: datetime) -> None:
    other = ca.issue_signer("mgmt.example.test", noon).certificate.serial_number
    serial = issued.certificate.serial_number
    change(ca, "kind = 'operator'", serial)
    assert [record.serial for record in ca.records.sound if record.names == ("mgmt.example.test",)] == [other]
    [row] = ca.records.changed_rows()
    assert f"the certificate {serial:x} differs from its certificate in kind" in row.reason
    with pytest.raises(OperatorError, match="ledger was changed"):
        ca.records.must_be_unchanged({FE1})
    with pytest.raises(OperatorError, match="has not issued"):
        ca.records.find(serial)


def test_certificate_that_the_ledger_has_lost_is_found_by_name_and_number(
    ca: EnterpriseCa, issued: Issued, noon: datetime
) -> None:
    serial = issued.certificate.serial_number
    change(ca, "der = NULL", serial)
    assert ca.records.find_lost(serial, FE1, noon).names == (FE1,)


def test_certificate_of_another_server_is_not_revoked_as_a_lost_one(
    ca: EnterpriseCa, issued: Issued, noon: datetime
) -> None:
    serial = issued.certificate.serial_number
    with pytest.raises(OperatorError, match=r"is of fe1\.example\.test, and not of fe2"):
        ca.records.find_lost(serial, "fe2.example.test", noon)
    with pytest.raises(OperatorError, match="no certificate has the serial number"):
        ca.records.find_lost(0, FE1, noon)
    assert ca.records.find_lost(serial, FE1, noon).serial == serial
