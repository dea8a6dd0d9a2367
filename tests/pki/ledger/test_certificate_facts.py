"""A record of the ledger has the serial number, kind, names and dates of its certificate, or is said to differ."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.issued import Issued
from sipmesh.pki.ledger.certificate_facts import why_record_differs
from sipmesh.pki.ledger.records import Record


@pytest.fixture(name="records")
def _records(ca: EnterpriseCa, issued: Issued, noon: datetime) -> tuple[Record, ...]:
    """One of each kind; that of fe1 is the third."""
    ca.issue_for_clients(("phones.example.test",), noon, rsa=True, addresses=("192.0.2.1",))
    ca.issue_signer("mgmt.example.test", noon)
    ca.issue_operator("ada", noon)
    assert ca.certificates[2].serial == issued.certificate.serial_number
    return ca.certificates


def test_each_kind_of_certificate_fits_its_record(records: tuple[Record, ...]) -> None:
    assert [record.kind for record in records] == ["root", "issuing", "server", "server", "signer", "operator"]
    assert [why_record_differs(record) for record in records] == [""] * 6


@pytest.mark.parametrize(
    "change",
    [
        {"serial": 7},
        {"issuer": "root"},
        {"kind": "operator"},
        {"names": ("edge.example.test",)},
        {"not_before": datetime.fromisoformat("2020-01-01T00:00:00+00:00")},
        {"not_after": datetime.fromisoformat("2020-01-01T00:00:00+00:00")},
    ],
)
@pytest.mark.wide
def test_changed_column_is_named(records: tuple[Record, ...], change: dict[str, Any]) -> None:
    assert why_record_differs(replace(records[2], **change)) == f"differs from its certificate in {next(iter(change))}"


@pytest.mark.wide
def test_another_or_an_unreadable_certificate_differs(records: tuple[Record, ...]) -> None:
    assert "serial" in why_record_differs(replace(records[2], der=records[3].der))
    assert "cannot be read" in why_record_differs(replace(records[2], der=b"0"))
    assert "kind" in why_record_differs(replace(records[0], kind="issuing"))


@pytest.mark.wide
def test_certificate_that_was_never_signed_has_nothing_to_differ_from(records: tuple[Record, ...]) -> None:
    assert why_record_differs(replace(records[2], der=None, not_after=records[2].not_after + timedelta(days=1))) == ""
